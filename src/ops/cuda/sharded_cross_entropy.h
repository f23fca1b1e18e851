// Cross entropy over shards on CUDA. Defined only in CUDA builds. Logits f32 or bf16, statistics fp32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/sharded_cross_entropy.h"

namespace timetrial::ops::cuda {

void cross_entropy_shard_forward(const CrossEntropyShardForward& a, StreamRef stream);
void cross_entropy_combine(const CrossEntropyCombine& a, StreamRef stream);
void cross_entropy_shard_backward(const CrossEntropyShardBackward& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
