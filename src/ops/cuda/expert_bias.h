// Load counting and the expert bias on CUDA. Defined only in CUDA builds. Storage f32 or bf16, arithmetic in fp32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/expert_bias.h"

namespace timetrial::ops::cuda {

void count_experts(const CountExperts& a, StreamRef stream);
void expert_bias_update(const ExpertBiasUpdate& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
