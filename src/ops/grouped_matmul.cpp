// Grouped products: what they accept, checked once for every device; group sizes are device data, not seen here.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/grouped_matmul.h"

#include "ops/checks.h"
#include "ops/cpu/grouped_matmul.h"
#include "ops/cuda/grouped_matmul.h"
#include "ops/on_cpu.h"

namespace timetrial::ops {

// Rows that belong to no expert stay as they are, so c counts as updated.
constexpr Roles<GroupedMatmul> roles(const GroupedMatmul&) {
  return {.reads = {&GroupedMatmul::a, &GroupedMatmul::b, &GroupedMatmul::expert_begin, &GroupedMatmul::bias,
                    &GroupedMatmul::bias_scale},
          .updates = {&GroupedMatmul::c}};
}
constexpr Roles<GroupedMatmulBackwardWeight> roles(const GroupedMatmulBackwardWeight&) {
  return {.reads = {&GroupedMatmulBackwardWeight::d_c, &GroupedMatmulBackwardWeight::a,
                    &GroupedMatmulBackwardWeight::expert_begin},
          .updates = {&GroupedMatmulBackwardWeight::d_weight}};
}
constexpr Roles<GroupedBiasBackward> roles(const GroupedBiasBackward&) {
  return {.reads = {&GroupedBiasBackward::d_c, &GroupedBiasBackward::expert_begin, &GroupedBiasBackward::bias_scale},
          .updates = {&GroupedBiasBackward::d_bias}};
}
constexpr Roles<GroupedBiasScaleBackward> roles(const GroupedBiasScaleBackward&) {
  return {.reads = {&GroupedBiasScaleBackward::d_c, &GroupedBiasScaleBackward::bias,
                    &GroupedBiasScaleBackward::expert_begin},
          .updates = {&GroupedBiasScaleBackward::d_scale}};
}
double flops(const GroupedMatmul& a) {
  return 2.0 * static_cast<double>(a.c.elements()) * static_cast<double>(a.a.dim(1));
}
double flops(const GroupedMatmulBackwardWeight& a) {
  return 2.0 * static_cast<double>(a.d_c.elements()) * static_cast<double>(a.a.dim(1));
}

namespace {

// Number of experts.
int64_t check_groups(std::string_view op, const Tensor& expert_begin) {
  TIMETRIAL_CHECK(expert_begin.dtype() == DType::i32 && expert_begin.shape().rank() == 1 && expert_begin.dim(0) >= 2,
                  "{}: expert_begin is {} {}, expected i32 (E + 1)", op, name_of(expert_begin.dtype()),
                  expert_begin.shape());
  return expert_begin.dim(0) - 1;
}

// A matrix with rows and columns; rows may be none.
void check_rows(std::string_view op, std::string_view name, const Tensor& tensor) {
  TIMETRIAL_CHECK(tensor.shape().rank() == 2 && tensor.dim(1) > 0, "{}: {} is {}, expected rows of at least one column",
                  op, name, tensor.shape());
}

void check_accumulated(const Tensor& tensor, Expected x) {
  if (tensor.dtype() == wide(x.dtype)) x.dtype = tensor.dtype();
  check_tensor(tensor, x);
}

void check_workspace(std::string_view op, const Tensor& workspace, size_t needed) {
  TIMETRIAL_CHECK(needed == 0 || (workspace && workspace.bytes() >= needed), "{}: workspace of {} bytes, {} are needed",
                  op, workspace ? workspace.bytes() : 0, needed);
}

size_t needed_workspace(GroupedKernels kernels, int64_t experts, const Tensor& a, StreamRef stream) {
  switch (kernels) {
    case GroupedKernels::plain:
      return 0;
    case GroupedKernels::best:
      return grouped_matmul_workspace_bytes(experts, a.dtype(), stream.device);
  }
  throw Error("grouped_matmul: unknown kernels");
}

}  // namespace

size_t grouped_matmul_workspace_bytes(int64_t experts, DType dtype, Device device) {
  TIMETRIAL_CHECK(experts > 0, "grouped_matmul_workspace_bytes: {} experts", experts);
  switch (device.kind) {
    case DeviceKind::cpu:
      return 0;
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::grouped_matmul_workspace_bytes(experts, dtype, device);
      throw_without_cuda("grouped_matmul");
  }
  throw Error("grouped_matmul_workspace_bytes: unknown device");
}

void grouped_matmul(const GroupedMatmul& a, StreamRef stream) {
  constexpr std::string_view op = "grouped_matmul";
  check_devices(op, {a.c, a.a, a.b, a.expert_begin, a.bias, a.bias_scale, a.workspace}, stream);
  const int64_t experts = check_groups(op, a.expert_begin);
  check_rows(op, "a", a.a);
  check_rows(op, "c", a.c);
  const DType dtype = a.a.dtype();
  const int64_t rows = a.a.dim(0), k = a.a.dim(1), n = a.c.dim(1);
  check_tensor(a.c, {op, "c", dtype, {rows, n}});
  check_tensor(a.b, {op, "b", dtype, a.transpose_b ? Shape{experts, n, k} : Shape{experts, k, n}});
  if (a.bias) check_tensor(a.bias, {op, "bias", dtype, {experts, n}});
  TIMETRIAL_CHECK(a.bias || !a.bias_scale, "{}: bias_scale without bias", op);
  if (a.bias_scale) check_tensor(a.bias_scale, {op, "bias_scale", wide(dtype), {rows}});
  check_workspace(op, a.workspace, needed_workspace(a.kernels, experts, a.a, stream));
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, dtype}, a, [&]<class T>(const auto& arguments) { cpu::grouped_matmul<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::grouped_matmul(a, stream);
      throw_without_cuda(op);
  }
}

void grouped_matmul_backward_weight(const GroupedMatmulBackwardWeight& a, StreamRef stream) {
  constexpr std::string_view op = "grouped_matmul_backward_weight";
  check_devices(op, {a.d_weight, a.d_c, a.a, a.expert_begin, a.workspace}, stream);
  const int64_t experts = check_groups(op, a.expert_begin);
  check_rows(op, "d_c", a.d_c);
  check_rows(op, "a", a.a);
  const DType dtype = a.a.dtype();
  check_tensor(a.d_c, {op, "d_c", dtype, {a.a.dim(0), a.d_c.dim(1)}});
  check_accumulated(a.d_weight, {op, "d_weight", dtype, {experts, a.d_c.dim(1), a.a.dim(1)}});
  check_workspace(op, a.workspace, needed_workspace(a.kernels, experts, a.a, stream));
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, dtype}, a,
                    [&]<class T>(const auto& arguments) { cpu::grouped_matmul_backward_weight<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::grouped_matmul_backward_weight(a, stream);
      throw_without_cuda(op);
  }
}

void grouped_bias_backward(const GroupedBiasBackward& a, StreamRef stream) {
  constexpr std::string_view op = "grouped_bias_backward";
  check_devices(op, {a.d_bias, a.d_c, a.expert_begin, a.bias_scale}, stream);
  const int64_t experts = check_groups(op, a.expert_begin);
  check_rows(op, "d_c", a.d_c);
  const DType dtype = a.d_c.dtype();
  check_accumulated(a.d_bias, {op, "d_bias", dtype, {experts, a.d_c.dim(1)}});
  if (a.bias_scale) check_tensor(a.bias_scale, {op, "bias_scale", wide(dtype), {a.d_c.dim(0)}});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, dtype}, a,
                    [&]<class T>(const auto& arguments) { cpu::grouped_bias_backward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::grouped_bias_backward(a, stream);
      throw_without_cuda(op);
  }
}

void grouped_bias_scale_backward(const GroupedBiasScaleBackward& a, StreamRef stream) {
  constexpr std::string_view op = "grouped_bias_scale_backward";
  check_devices(op, {a.d_scale, a.d_c, a.bias, a.expert_begin}, stream);
  const int64_t experts = check_groups(op, a.expert_begin);
  check_rows(op, "d_c", a.d_c);
  const DType dtype = a.d_c.dtype();
  check_tensor(a.d_scale, {op, "d_scale", wide(dtype), {a.d_c.dim(0)}});
  check_tensor(a.bias, {op, "bias", dtype, {experts, a.d_c.dim(1)}});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, dtype}, a,
                    [&]<class T>(const auto& arguments) { cpu::grouped_bias_scale_backward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::grouped_bias_scale_backward(a, stream);
      throw_without_cuda(op);
  }
}

}  // namespace timetrial::ops
