// Rotary position embedding on CUDA: tensors to kernel arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/rope.h"

#include "ops/cuda/arguments.h"
#include "ops/cuda/rope_kernels.h"

namespace timetrial::ops::cuda {

void rope(const Rope& a, int direction, StreamRef stream) {
  check_storage("rope", {a.x.dtype()});
  launch(RopeLaunch{.x = a.x.raw(),
                    .cos = a.cos.data<float>(),
                    .sin = a.sin.data<float>(),
                    .rows = a.x.dim(0),
                    .width = a.x.dim(1),
                    .length = a.cos.dim(0),
                    .half = a.cos.dim(1),
                    .heads = a.heads,
                    .direction = static_cast<float>(direction),
                    .type = a.x.dtype()},
         stream);
}

}  // namespace timetrial::ops::cuda
