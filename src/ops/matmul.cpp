// Dense product and bias gradient: checks for both devices, then dispatch.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/matmul.h"

#include "ops/cpu/matmul.h"
#include "ops/cuda/matmul.h"
#include "ops/on_cpu.h"

namespace timetrial::ops {

constexpr Roles<Matmul> roles(const Matmul& a) {
  Roles<Matmul> result{.reads = {&Matmul::a, &Matmul::b, &Matmul::bias}};
  (a.accumulate ? result.updates : result.writes)[0] = &Matmul::c;
  return result;
}
constexpr Roles<BiasBackward> roles(const BiasBackward&) {
  return {.reads = {&BiasBackward::d_out}, .updates = {&BiasBackward::d_bias}};
}
double flops(const Matmul& a) {
  return 2.0 * static_cast<double>(a.c.elements()) * static_cast<double>(a.a.dim(a.transpose_a ? 0 : 1));
}

namespace {

void check(const Matmul& a, StreamRef stream) {
  check_devices("matmul", {a.c, a.a, a.b, a.bias, a.d_bias, a.workspace}, stream);
  TIMETRIAL_CHECK(a.c.shape().rank() == 2 && a.a.shape().rank() == 2 && a.b.shape().rank() == 2,
                  "matmul: c {}, a {}, b {}: all three are matrices", a.c.shape(), a.a.shape(), a.b.shape());
  const int64_t m = a.a.dim(a.transpose_a ? 1 : 0), k = a.a.dim(a.transpose_a ? 0 : 1);
  const int64_t n = a.b.dim(a.transpose_b ? 0 : 1), k_of_b = a.b.dim(a.transpose_b ? 1 : 0);
  TIMETRIAL_CHECK(k == k_of_b && a.c.shape() == (Shape{m, n}), "matmul: a {}{} times b {}{} does not make c {}",
                  a.a.shape(), a.transpose_a ? " transposed" : "", a.b.shape(), a.transpose_b ? " transposed" : "",
                  a.c.shape());
  TIMETRIAL_CHECK(a.a.dtype() == a.b.dtype(), "matmul: a is {}, b is {}", name_of(a.a.dtype()), name_of(a.b.dtype()));
  const bool wider = a.a.dtype() == DType::bf16 && a.c.dtype() == DType::f32;
  TIMETRIAL_CHECK(a.c.dtype() == a.a.dtype() || wider, "matmul: {} products into {}", name_of(a.a.dtype()),
                  name_of(a.c.dtype()));
  TIMETRIAL_CHECK(a.c.bytes() == 0 || (a.c.raw() != a.a.raw() && a.c.raw() != a.b.raw()),
                  "matmul: c {} shares memory with an operand", a.c.shape());
  if (a.bias)
    TIMETRIAL_CHECK(a.bias.shape() == Shape{n} && a.bias.dtype() == a.c.dtype(), "matmul: bias {} {} for c {} {}",
                    a.bias.shape(), name_of(a.bias.dtype()), a.c.shape(), name_of(a.c.dtype()));
  TIMETRIAL_CHECK(!a.d_bias || (a.transpose_a && !a.bias), "matmul: d_bias is for weight gradients (transpose_a{})",
                  a.bias ? ", no bias" : "");
}

BiasBackward bias_part(const Matmul& a) { return {.d_bias = a.d_bias, .d_out = a.a}; }

void check(const BiasBackward& a, StreamRef stream) {
  check_devices("bias_backward", {a.d_bias, a.d_out}, stream);
  TIMETRIAL_CHECK(a.d_out.shape().rank() == 2 && a.d_bias.shape() == Shape{a.d_out.dim(1)},
                  "bias_backward: d_bias {} for d_out {}", a.d_bias.shape(), a.d_out.shape());
  const bool wider = a.d_out.dtype() == DType::bf16 && a.d_bias.dtype() == DType::f32;
  TIMETRIAL_CHECK(a.d_bias.dtype() == a.d_out.dtype() || wider, "bias_backward: sum of {} into {}",
                  name_of(a.d_out.dtype()), name_of(a.d_bias.dtype()));
}

}  // namespace

size_t matmul_workspace_bytes(Device device) {
  switch (device.kind) {
    case DeviceKind::cpu:
      return 0;
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::kMatmulWorkspaceBytes;
      throw_without_cuda("matmul");
  }
  throw Error("matmul_workspace_bytes: unknown device");
}

void matmul(const Matmul& a, StreamRef stream) {
  check(a, stream);
  if (a.d_bias) check(bias_part(a), stream);
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      on_cpu({"matmul", stream, a.a.dtype()}, a, [&]<class T>(const auto& arguments) { cpu::matmul<T>(arguments); });
      if (a.d_bias) bias_backward(bias_part(a), stream);
      return;
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::matmul(a, stream);
      throw_without_cuda("matmul");
  }
}

void bias_backward(const BiasBackward& a, StreamRef stream) {
  check(a, stream);
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({"bias_backward", stream, a.d_out.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::bias_backward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::bias_backward(a, stream);
      throw_without_cuda("bias_backward");
  }
}

}  // namespace timetrial::ops
