// Additions and sums: checks, then dispatch.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/elementwise.h"

#include "ops/cpu/elementwise.h"
#include "ops/dispatch.h"

namespace timetrial::ops {

void add(const Add& a, StreamRef stream) {
  check_devices("add", {a.out, a.a, a.b}, stream);
  for (const Tensor& tensor : {a.a, a.b})
    TIMETRIAL_CHECK(tensor.shape() == a.out.shape() && tensor.dtype() == a.out.dtype(), "add: {} {} into {} {}",
                    tensor.shape(), name_of(tensor.dtype()), a.out.shape(), name_of(a.out.dtype()));
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return visit_float(a.out.dtype(), [&]<class T>() { cpu::add<T>(a); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) throw_no_cuda_kernel("add");
      throw_without_cuda("add");
  }
}

void accumulate_sum(const AccumulateSum& a, StreamRef stream) {
  check_devices("accumulate_sum", {a.out, a.x}, stream);
  TIMETRIAL_CHECK(a.out.shape() == Shape{1} && a.out.dtype() == a.x.dtype(), "accumulate_sum: {} {} into {} {}",
                  a.x.shape(), name_of(a.x.dtype()), a.out.shape(), name_of(a.out.dtype()));
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return visit_float(a.x.dtype(), [&]<class T>() { cpu::accumulate_sum<T>(a); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) throw_no_cuda_kernel("accumulate_sum");
      throw_without_cuda("accumulate_sum");
  }
}

}  // namespace timetrial::ops
