// Additions and sums: checks, then dispatch.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/elementwise.h"

#include "ops/cpu/elementwise.h"
#include "ops/cuda/elementwise.h"
#include "ops/on_cpu.h"

namespace timetrial::ops {

constexpr Roles<Add> roles(const Add&) { return {.reads = {&Add::a, &Add::b}, .writes = {&Add::out}}; }
constexpr Roles<AccumulateSum> roles(const AccumulateSum&) {
  return {.reads = {&AccumulateSum::x}, .updates = {&AccumulateSum::out}};
}

void add(const Add& a, StreamRef stream) {
  check_devices("add", {a.out, a.a, a.b}, stream);
  for (const Tensor& tensor : {a.a, a.b})
    TIMETRIAL_CHECK(tensor.shape() == a.out.shape() && tensor.dtype() == a.out.dtype(), "add: {} {} into {} {}",
                    tensor.shape(), name_of(tensor.dtype()), a.out.shape(), name_of(a.out.dtype()));
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({"add", stream, a.out.dtype()}, a, [&]<class T>(const auto& arguments) { cpu::add<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::add(a, stream);
      throw_without_cuda("add");
  }
}

void accumulate_sum(const AccumulateSum& a, StreamRef stream) {
  check_devices("accumulate_sum", {a.out, a.x}, stream);
  TIMETRIAL_CHECK(a.out.shape() == Shape{1} && a.out.dtype() == a.x.dtype(), "accumulate_sum: {} {} into {} {}",
                  a.x.shape(), name_of(a.x.dtype()), a.out.shape(), name_of(a.out.dtype()));
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({"accumulate_sum", stream, a.x.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::accumulate_sum<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::accumulate_sum(a, stream);
      throw_without_cuda("accumulate_sum");
  }
}

}  // namespace timetrial::ops
