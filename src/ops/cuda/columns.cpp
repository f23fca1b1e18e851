// Cutting and joining of columns on CUDA: tensors to kernel arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/columns.h"

#include "ops/cuda/arguments.h"
#include "ops/cuda/columns_kernels.h"

namespace timetrial::ops::cuda {

void split_columns(const SplitColumns& a, StreamRef stream) {
  check_storage("split_columns", {a.x.dtype()});
  launch(ColumnsLaunch{.whole = a.x.raw(),
                       .left = a.left.raw(),
                       .right = a.right.raw(),
                       .rows = a.x.dim(0),
                       .left_columns = a.left.dim(1),
                       .right_columns = a.right.dim(1),
                       .join = false,
                       .type = a.x.dtype()},
         stream);
}

void join_columns(const JoinColumns& a, StreamRef stream) {
  check_storage("join_columns", {a.out.dtype()});
  launch(ColumnsLaunch{.whole = a.out.raw(),
                       .left = a.left.raw(),
                       .right = a.right.raw(),
                       .rows = a.out.dim(0),
                       .left_columns = a.left.dim(1),
                       .right_columns = a.right.dim(1),
                       .join = true,
                       .type = a.out.dtype()},
         stream);
}

}  // namespace timetrial::ops::cuda
