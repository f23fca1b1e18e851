// Cross entropy: checks, then dispatch.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/cross_entropy.h"

#include "ops/cpu/cross_entropy.h"
#include "ops/cuda/cross_entropy.h"
#include "ops/on_cpu.h"

namespace timetrial::ops {

constexpr Roles<CrossEntropyForward> roles(const CrossEntropyForward&) {
  return {.reads = {&CrossEntropyForward::logits, &CrossEntropyForward::labels},
          .writes = {&CrossEntropyForward::loss, &CrossEntropyForward::lse}};
}
constexpr Roles<CrossEntropyBackward> roles(const CrossEntropyBackward&) {
  return {.reads = {&CrossEntropyBackward::lse, &CrossEntropyBackward::labels},
          .updates = {&CrossEntropyBackward::logits}};
}

namespace {

void check(std::string_view op, const Tensor& logits, const Tensor& labels,
           std::initializer_list<Tensor> row_statistics) {
  TIMETRIAL_CHECK(logits.shape().rank() == 2 && logits.dim(1) > 0, "{}: logits {}", op, logits.shape());
  const Shape rows{logits.dim(0)};
  TIMETRIAL_CHECK(labels.shape() == rows && labels.dtype() == DType::i32, "{}: labels {} {} for logits {}", op,
                  labels.shape(), name_of(labels.dtype()), logits.shape());
  const DType statistics = logits.dtype() == DType::f64 ? DType::f64 : DType::f32;
  for (const Tensor& tensor : row_statistics)
    TIMETRIAL_CHECK(tensor.shape() == rows && tensor.dtype() == statistics, "{}: loss or lse {} {} for logits {} {}",
                    op, tensor.shape(), name_of(tensor.dtype()), logits.shape(), name_of(logits.dtype()));
}

}  // namespace

void cross_entropy_forward(const CrossEntropyForward& a, StreamRef stream) {
  constexpr std::string_view kOp = "cross_entropy_forward";
  check_devices(kOp, {a.loss, a.lse, a.logits, a.labels}, stream);
  check(kOp, a.logits, a.labels, {a.loss, a.lse});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({kOp, stream, a.logits.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::cross_entropy_forward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::cross_entropy_forward(a, stream);
      throw_without_cuda(kOp);
  }
}

void cross_entropy_backward(const CrossEntropyBackward& a, StreamRef stream) {
  constexpr std::string_view kOp = "cross_entropy_backward";
  check_devices(kOp, {a.logits, a.lse, a.labels}, stream);
  check(kOp, a.logits, a.labels, {a.lse});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({kOp, stream, a.logits.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::cross_entropy_backward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::cross_entropy_backward(a, stream);
      throw_without_cuda(kOp);
  }
}

}  // namespace timetrial::ops
