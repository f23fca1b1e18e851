// Additions and sums on CUDA: tensors to kernel arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/elementwise.h"

#include "ops/cuda/arguments.h"
#include "ops/cuda/elementwise_kernels.h"

namespace timetrial::ops::cuda {

void add(const Add& a, StreamRef stream) {
  check_storage("add", {a.out.dtype()});
  launch(
      AddLaunch{
          .out = a.out.raw(), .a = a.a.raw(), .b = a.b.raw(), .elements = a.out.elements(), .type = a.out.dtype()},
      stream);
}

void accumulate_sum(const AccumulateSum& a, StreamRef stream) {
  check_storage("accumulate_sum", {a.x.dtype()});
  launch(
      AccumulateSumLaunch{
          .out = a.out.raw(), .x = a.x.raw(), .elements = a.x.elements(), .scale = a.scale, .type = a.x.dtype()},
      stream);
}

}  // namespace timetrial::ops::cuda
