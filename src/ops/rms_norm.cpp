// RMSNorm: checks for both devices, then dispatch.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/rms_norm.h"

#include "ops/cpu/rms_norm.h"
#include "ops/cuda/rms_norm.h"
#include "ops/on_cpu.h"

namespace timetrial::ops {

constexpr Roles<RmsNormForward> roles(const RmsNormForward&) {
  return {.reads = {&RmsNormForward::x, &RmsNormForward::weight},
          .writes = {&RmsNormForward::out, &RmsNormForward::rstd}};
}
constexpr Roles<RmsNormBackwardInput> roles(const RmsNormBackwardInput&) {
  return {.reads = {&RmsNormBackwardInput::d_out, &RmsNormBackwardInput::x, &RmsNormBackwardInput::rstd,
                    &RmsNormBackwardInput::weight},
          .writes = {&RmsNormBackwardInput::d_x}};
}
constexpr Roles<RmsNormBackwardWeight> roles(const RmsNormBackwardWeight&) {
  return {.reads = {&RmsNormBackwardWeight::d_out, &RmsNormBackwardWeight::x, &RmsNormBackwardWeight::rstd},
          .updates = {&RmsNormBackwardWeight::d_weight}};
}

namespace {

// What all three ops share: x (N, C), other row tensors like it, rstd (N) in the statistics' type.
void check_rows(std::string_view op, const Tensor& x, std::initializer_list<Tensor> like_x, const Tensor& rstd) {
  TIMETRIAL_CHECK(x.shape().rank() == 2 && x.dim(1) > 0, "{}: x {} is no matrix with columns", op, x.shape());
  for (const Tensor& tensor : like_x)
    TIMETRIAL_CHECK(tensor.shape() == x.shape() && tensor.dtype() == x.dtype(), "{}: {} {} beside x {} {}", op,
                    tensor.shape(), name_of(tensor.dtype()), x.shape(), name_of(x.dtype()));
  const DType statistics = x.dtype() == DType::f64 ? DType::f64 : DType::f32;
  TIMETRIAL_CHECK(rstd.shape() == Shape{x.dim(0)} && rstd.dtype() == statistics, "{}: rstd {} {} for x {} {}", op,
                  rstd.shape(), name_of(rstd.dtype()), x.shape(), name_of(x.dtype()));
}

void check_weight(std::string_view op, const Tensor& weight, const Tensor& x) {
  TIMETRIAL_CHECK(weight.shape() == Shape{x.dim(1)} && weight.dtype() == x.dtype(), "{}: weight {} {} for x {} {}", op,
                  weight.shape(), name_of(weight.dtype()), x.shape(), name_of(x.dtype()));
}

}  // namespace

void rms_norm_forward(const RmsNormForward& a, StreamRef stream) {
  constexpr std::string_view kOp = "rms_norm_forward";
  check_devices(kOp, {a.out, a.rstd, a.x, a.weight}, stream);
  check_rows(kOp, a.x, {a.out}, a.rstd);
  check_weight(kOp, a.weight, a.x);
  TIMETRIAL_CHECK(a.epsilon >= 0, "rms_norm_forward: epsilon {}", a.epsilon);
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({kOp, stream, a.x.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::rms_norm_forward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::rms_norm_forward(a, stream);
      throw_without_cuda(kOp);
  }
}

void rms_norm_backward_input(const RmsNormBackwardInput& a, StreamRef stream) {
  constexpr std::string_view kOp = "rms_norm_backward_input";
  check_devices(kOp, {a.d_x, a.d_out, a.x, a.rstd, a.weight}, stream);
  check_rows(kOp, a.x, {a.d_x, a.d_out}, a.rstd);
  check_weight(kOp, a.weight, a.x);
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({kOp, stream, a.x.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::rms_norm_backward_input<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::rms_norm_backward_input(a, stream);
      throw_without_cuda(kOp);
  }
}

void rms_norm_backward_weight(const RmsNormBackwardWeight& a, StreamRef stream) {
  constexpr std::string_view kOp = "rms_norm_backward_weight";
  check_devices(kOp, {a.d_weight, a.d_out, a.x, a.rstd}, stream);
  check_rows(kOp, a.x, {a.d_out}, a.rstd);
  // Gradients may be kept wider than bf16 activations.
  const bool wider = a.x.dtype() == DType::bf16 && a.d_weight.dtype() == DType::f32;
  TIMETRIAL_CHECK(a.d_weight.shape() == Shape{a.x.dim(1)} && (a.d_weight.dtype() == a.x.dtype() || wider),
                  "{}: d_weight {} {} for x {} {}", kOp, a.d_weight.shape(), name_of(a.d_weight.dtype()), a.x.shape(),
                  name_of(a.x.dtype()));
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({kOp, stream, a.x.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::rms_norm_backward_weight<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::rms_norm_backward_weight(a, stream);
      throw_without_cuda(kOp);
  }
}

}  // namespace timetrial::ops
