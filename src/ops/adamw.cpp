// AdamW, gradient norm and clip: checks, then dispatch.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/adamw.h"

#include "ops/cpu/adamw.h"
#include "ops/cuda/adamw.h"
#include "ops/on_cpu.h"

namespace timetrial::ops {

constexpr Roles<SquaredNorm> roles(const SquaredNorm&) {
  return {.reads = {&SquaredNorm::gradient}, .updates = {&SquaredNorm::out}};
}
constexpr Roles<ClipCoefficient> roles(const ClipCoefficient&) {
  return {.reads = {&ClipCoefficient::squared}, .writes = {&ClipCoefficient::norm, &ClipCoefficient::coefficient}};
}
// Elements outside the segments stay as they are, so the weight counts as updated.
constexpr Roles<AdamW> roles(const AdamW&) {
  return {.reads = {&AdamW::gradient, &AdamW::coefficient, &AdamW::scalars},
          .updates = {&AdamW::weight, &AdamW::master, &AdamW::moment_1, &AdamW::moment_2}};
}

static_assert(sizeof(StepScalars) == 6 * sizeof(int32_t), "AdamW::scalars is six int32");

namespace {

void check_segments(std::string_view op, std::span<const ParameterSegment> segments, int64_t elements) {
  for (const ParameterSegment& s : segments)
    TIMETRIAL_CHECK(0 <= s.begin && s.begin <= s.end && s.end <= elements, "{}: segment [{}, {}) of {} elements", op,
                    s.begin, s.end, elements);
}

void check_scalar(std::string_view op, const Tensor& tensor, DType dtype) {
  TIMETRIAL_CHECK(tensor.shape() == Shape{1} && tensor.dtype() == dtype, "{}: {} {}, expected one {}", op,
                  tensor.shape(), name_of(tensor.dtype()), name_of(dtype));
}

// The type that norms, masters and moments are kept in beside gradients of this type.
DType statistics_of(DType gradient) { return gradient == DType::f64 ? DType::f64 : DType::f32; }

}  // namespace

void squared_norm(const SquaredNorm& a, std::span<const ParameterSegment> segments, StreamRef stream) {
  constexpr std::string_view kOp = "squared_norm";
  check_devices(kOp, {a.out, a.gradient}, stream);
  check_scalar(kOp, a.out, statistics_of(a.gradient.dtype()));
  check_segments(kOp, segments, a.gradient.elements());
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({kOp, stream, a.gradient.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::squared_norm<T>(arguments, segments); });
    case DeviceKind::cuda:
      check_devices(kOp, {a.workspace}, stream);
      TIMETRIAL_CHECK(a.workspace && a.workspace.dtype() == DType::f64 && a.workspace.elements() >= kNormPartials,
                      "{}: a workspace of {} {}, expected {} f64", kOp, a.workspace.shape(),
                      name_of(a.workspace.dtype()), kNormPartials);
      if constexpr (build::has_cuda) return cuda::squared_norm(a, segments, stream);
      throw_without_cuda(kOp);
  }
}

void clip_coefficient(const ClipCoefficient& a, StreamRef stream) {
  constexpr std::string_view kOp = "clip_coefficient";
  check_devices(kOp, {a.norm, a.coefficient, a.squared}, stream);
  check_scalar(kOp, a.squared, statistics_of(a.squared.dtype()));
  check_scalar(kOp, a.norm, a.squared.dtype());
  check_scalar(kOp, a.coefficient, a.squared.dtype());
  TIMETRIAL_CHECK(a.clip_norm > 0, "{}: clip norm {}", kOp, a.clip_norm);
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({kOp, stream, a.squared.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::clip_coefficient<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::clip_coefficient(a, stream);
      throw_without_cuda(kOp);
  }
}

void adamw(const AdamW& a, std::span<const ParameterSegment> segments, StreamRef stream) {
  constexpr std::string_view kOp = "adamw";
  check_devices(kOp, {a.weight, a.master, a.moment_1, a.moment_2, a.gradient, a.coefficient, a.scalars}, stream);
  for (const Tensor& tensor : {a.weight, a.moment_1, a.moment_2, a.gradient})
    TIMETRIAL_CHECK(tensor.shape() == a.master.shape() && a.master.shape().rank() == 1, "{}: {} beside a master {}",
                    kOp, tensor.shape(), a.master.shape());
  for (const Tensor& tensor : {a.moment_1, a.moment_2})
    TIMETRIAL_CHECK(tensor.dtype() == a.master.dtype(), "{}: {} moments beside a {} master", kOp,
                    name_of(tensor.dtype()), name_of(a.master.dtype()));
  for (const Tensor& tensor : {a.weight, a.gradient}) {
    const bool narrower = tensor.dtype() == DType::bf16 && a.master.dtype() == DType::f32;
    TIMETRIAL_CHECK(tensor.dtype() == a.master.dtype() || narrower, "{}: {} weight or gradient beside a {} master", kOp,
                    name_of(tensor.dtype()), name_of(a.master.dtype()));
  }
  check_scalar(kOp, a.coefficient, a.master.dtype());
  TIMETRIAL_CHECK(a.scalars.shape() == Shape{6} && a.scalars.dtype() == DType::i32, "{}: scalars {} {}", kOp,
                  a.scalars.shape(), name_of(a.scalars.dtype()));
  check_segments(kOp, segments, a.master.elements());
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({kOp, stream, a.master.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::adamw<T>(arguments, segments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::adamw(a, segments, stream);
      throw_without_cuda(kOp);
  }
}

}  // namespace timetrial::ops
