// Load balancing without a loss (spec 3.5): tokens per expert are counted over a step, then the selection bias moves.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

// counts[e] += how often `expert` holds e. Ids must lie in [0, E); the CPU checks and throws Error.
struct CountExperts {
  Tensor counts;  // (E) int32, accumulated
  Tensor expert;  // (N, k) int32
};
void count_experts(const CountExperts& a, StreamRef stream);

// bias[e] += rate * sign(mean(counts) - counts[e]), the comparison exact.
struct ExpertBiasUpdate {
  Tensor bias;    // (E) fp32 or f64
  Tensor counts;  // (E) int32 over the whole global batch
  double rate;
};
void expert_bias_update(const ExpertBiasUpdate& a, StreamRef stream);

}  // namespace timetrial::ops
