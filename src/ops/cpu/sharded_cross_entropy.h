// Cross entropy over shards on the CPU. T is float or double, the type of all floating tensors; arguments have been
// checked, labels are checked here. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/sharded_cross_entropy.h"

namespace timetrial::ops::cpu {

// Throws Error for a label outside [0, shard.all).
template <class T>
void cross_entropy_shard_forward(const CrossEntropyShardForward& a);

template <class T>
void cross_entropy_combine(const CrossEntropyCombine& a);

// As forward.
template <class T>
void cross_entropy_shard_backward(const CrossEntropyShardBackward& a);

}  // namespace timetrial::ops::cpu
