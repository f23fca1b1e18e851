// Columns: what it accepts, checked once for every device.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/columns.h"

#include "ops/checks.h"
#include "ops/cpu/columns.h"
#include "ops/cuda/columns.h"
#include "ops/on_cpu.h"

namespace timetrial::ops {

constexpr Roles<SplitColumns> roles(const SplitColumns&) {
  return {.reads = {&SplitColumns::x}, .writes = {&SplitColumns::left, &SplitColumns::right}};
}
constexpr Roles<JoinColumns> roles(const JoinColumns&) {
  return {.reads = {&JoinColumns::left, &JoinColumns::right}, .writes = {&JoinColumns::out}};
}

namespace {

void check(std::string_view op, const Tensor& whole, const Tensor& left, const Tensor& right) {
  TIMETRIAL_CHECK(left.shape().rank() == 2 && right.shape().rank() == 2 && left.dim(0) == right.dim(0),
                  "{}: left {}, right {}", op, left.shape(), right.shape());
  check_tensor(whole, {op, "both together", left.dtype(), {left.dim(0), left.dim(1) + right.dim(1)}});
  check_tensor(right, {op, "right", left.dtype(), right.shape()});
}

}  // namespace

void split_columns(const SplitColumns& a, StreamRef stream) {
  constexpr std::string_view op = "split_columns";
  check_devices(op, {a.left, a.right, a.x}, stream);
  check(op, a.x, a.left, a.right);
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, a.x.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::split_columns<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::split_columns(a, stream);
      throw_without_cuda(op);
  }
}

void join_columns(const JoinColumns& a, StreamRef stream) {
  constexpr std::string_view op = "join_columns";
  check_devices(op, {a.out, a.left, a.right}, stream);
  check(op, a.out, a.left, a.right);
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, a.out.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::join_columns<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::join_columns(a, stream);
      throw_without_cuda(op);
  }
}

}  // namespace timetrial::ops
