// Cross entropy on CUDA: tensors to kernel arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/cross_entropy.h"

#include "ops/cuda/arguments.h"
#include "ops/cuda/cross_entropy_kernels.h"

namespace timetrial::ops::cuda {

void cross_entropy_forward(const CrossEntropyForward& a, StreamRef stream) {
  check_storage("cross_entropy_forward", {a.logits.dtype()});
  launch(CrossEntropyForwardLaunch{.loss = a.loss.data<float>(),
                                   .lse = a.lse.data<float>(),
                                   .logits = a.logits.raw(),
                                   .labels = a.labels.data<int32_t>(),
                                   .rows = a.logits.dim(0),
                                   .columns = a.logits.dim(1),
                                   .type = a.logits.dtype()},
         stream);
}

void cross_entropy_backward(const CrossEntropyBackward& a, StreamRef stream) {
  check_storage("cross_entropy_backward", {a.logits.dtype()});
  launch(CrossEntropyBackwardLaunch{.logits = a.logits.raw(),
                                    .lse = a.lse.data<float>(),
                                    .labels = a.labels.data<int32_t>(),
                                    .rows = a.logits.dim(0),
                                    .columns = a.logits.dim(1),
                                    .scale = static_cast<float>(a.scale),
                                    .type = a.logits.dtype()},
         stream);
}

}  // namespace timetrial::ops::cuda
