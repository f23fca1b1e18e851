// Columns of row-major tensors: cutting a tensor in two side by side, and joining two.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

// x = [left | right]; both parts are overwritten. All of one type; Throws Error when shapes or types do not fit.
struct SplitColumns {
  Tensor left, right;  // (N, a), (N, b)
  Tensor x;            // (N, a + b)
};
void split_columns(const SplitColumns& a, StreamRef stream);

// out = [left | right]; the backward of split_columns, and the other way round.
struct JoinColumns {
  Tensor out;          // (N, a + b)
  Tensor left, right;  // (N, a), (N, b)
};
void join_columns(const JoinColumns& a, StreamRef stream);

}  // namespace timetrial::ops
