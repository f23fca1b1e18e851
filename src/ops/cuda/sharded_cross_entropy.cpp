// Cross entropy over shards on CUDA: tensors to kernel arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/sharded_cross_entropy.h"

#include "ops/cuda/arguments.h"
#include "ops/cuda/sharded_cross_entropy_kernels.h"

namespace timetrial::ops::cuda {

void cross_entropy_shard_forward(const CrossEntropyShardForward& a, StreamRef stream) {
  check_storage("cross_entropy_shard_forward", {a.logits.dtype()});
  launch(CrossEntropyShardForwardLaunch{.statistics = a.statistics.data<float>(),
                                        .logits = a.logits.raw(),
                                        .labels = a.labels.data<int32_t>(),
                                        .rows = a.logits.dim(0),
                                        .columns = a.logits.dim(1),
                                        .first_class = a.shard.first,
                                        .type = a.logits.dtype()},
         stream);
}

void cross_entropy_combine(const CrossEntropyCombine& a, StreamRef stream) {
  check_storage("cross_entropy_combine", {a.statistics.dtype()});
  launch(CrossEntropyCombineLaunch{.loss = a.loss.data<float>(),
                                   .lse = a.lse.data<float>(),
                                   .statistics = a.statistics.data<float>(),
                                   .shards = a.statistics.dim(0),
                                   .rows = a.statistics.dim(2)},
         stream);
}

void cross_entropy_shard_backward(const CrossEntropyShardBackward& a, StreamRef stream) {
  check_storage("cross_entropy_shard_backward", {a.logits.dtype()});
  launch(CrossEntropyShardBackwardLaunch{.logits = a.logits.raw(),
                                         .lse = a.lse.data<float>(),
                                         .labels = a.labels.data<int32_t>(),
                                         .rows = a.logits.dim(0),
                                         .columns = a.logits.dim(1),
                                         .first_class = a.shard.first,
                                         .scale = static_cast<float>(a.scale),
                                         .type = a.logits.dtype()},
         stream);
}

}  // namespace timetrial::ops::cuda
