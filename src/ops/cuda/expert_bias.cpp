// Load counting and the expert bias on CUDA: tensors to kernel arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/expert_bias.h"

#include "ops/cuda/arguments.h"
#include "ops/cuda/expert_bias_kernels.h"

namespace timetrial::ops::cuda {

void count_experts(const CountExperts& a, StreamRef stream) {
  launch(
      CountExpertsLaunch{
          .counts = a.counts.data<int32_t>(), .expert = a.expert.data<int32_t>(), .pairs = a.expert.elements()},
      stream);
}

void expert_bias_update(const ExpertBiasUpdate& a, StreamRef stream) {
  check_storage("expert_bias_update", {a.bias.dtype()});
  launch(ExpertBiasUpdateLaunch{.bias = a.bias.data<float>(),
                                .counts = a.counts.data<int32_t>(),
                                .experts = static_cast<int32_t>(a.counts.dim(0)),
                                .rate = static_cast<float>(a.rate)},
         stream);
}

}  // namespace timetrial::ops::cuda
