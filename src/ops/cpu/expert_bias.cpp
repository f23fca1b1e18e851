// Counting and the sign rule; both are small beside anything else in a step.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/expert_bias.h"

namespace timetrial::ops::cpu {

void count_experts(const CountExperts& a) {
  int32_t* counts = a.counts.data<int32_t>();
  const int32_t* expert = a.expert.data<int32_t>();
  const int64_t experts = a.counts.dim(0), pairs = a.expert.elements();
  for (int64_t i = 0; i < pairs; ++i)
    TIMETRIAL_CHECK(expert[i] >= 0 && expert[i] < experts, "count_experts: expert {} at {} is not in [0, {})",
                    expert[i], i, experts);
  for (int64_t i = 0; i < pairs; ++i) ++counts[expert[i]];
}

template <class T>
void expert_bias_update(const ExpertBiasUpdate& a) {
  const int64_t experts = a.counts.dim(0);
  const int32_t* counts = a.counts.data<int32_t>();
  T* bias = a.bias.data<T>();
  int64_t total = 0;
  for (int64_t e = 0; e < experts; ++e) total += counts[e];
  for (int64_t e = 0; e < experts; ++e) {
    const int64_t missing = total - experts * counts[e];  // experts times (mean - count)
    bias[e] += static_cast<T>(a.rate) * static_cast<T>((missing > 0) - (missing < 0));
  }
}

template void expert_bias_update<float>(const ExpertBiasUpdate&);
template void expert_bias_update<double>(const ExpertBiasUpdate&);

}  // namespace timetrial::ops::cpu
