// Sums of tensors: residual additions and reductions to one number.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

// out = a + b; out may be a or b.
struct Add {
  Tensor out;
  Tensor a, b;  // all of one shape and type
};
void add(const Add& a, StreamRef stream);

// out[0] += scale * sum(x), in a fixed order.
struct AccumulateSum {
  Tensor out;  // (1), the type of x
  Tensor x;
  double scale;
};
void accumulate_sum(const AccumulateSum& a, StreamRef stream);

}  // namespace timetrial::ops
