// CPU kernels of load counting and the expert bias. Arguments have been checked.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/expert_bias.h"

namespace timetrial::ops::cpu {

// Throws Error for an id outside [0, E).
void count_experts(const CountExperts& a);
template <class T>
void expert_bias_update(const ExpertBiasUpdate& a);

}  // namespace timetrial::ops::cpu
