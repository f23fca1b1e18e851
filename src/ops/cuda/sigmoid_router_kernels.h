// Launchers of the sigmoid router: plain pointers to device memory, so that nvcc sees no host-only headers. `type`
// is f32 or bf16, the storage of every void pointer. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

struct SigmoidRouteForwardLaunch {
  int32_t* expert;      // (tokens, choices)
  float *gate, *score;  // (tokens, choices), (tokens, experts)
  const void* logits;   // (tokens, experts)
  const float* bias;    // (experts)
  int64_t tokens;
  int32_t experts, choices, groups, kept_groups;
  float scaling;
  DType type;
};
void launch(const SigmoidRouteForwardLaunch& a, StreamRef stream);

struct SigmoidRouteBackwardLaunch {
  void* d_logits;               // (tokens, experts)
  const float *d_gate, *score;  // (tokens, choices), (tokens, experts)
  const float* d_score;         // (tokens, experts), or null
  const int32_t* expert;        // (tokens, choices)
  int64_t tokens;
  int32_t experts, choices;
  float scaling;
  DType type;
};
void launch(const SigmoidRouteBackwardLaunch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
