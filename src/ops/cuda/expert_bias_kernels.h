// Launchers of load counting and the expert bias: plain pointers to device memory, so that nvcc sees no host-only
// headers. `type` is f32 or bf16, the storage of every void pointer. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

struct CountExpertsLaunch {
  int32_t* counts;        // (experts), accumulated
  const int32_t* expert;  // (pairs)
  int64_t pairs;
};
void launch(const CountExpertsLaunch& a, StreamRef stream);

struct ExpertBiasUpdateLaunch {
  float* bias;            // (experts)
  const int32_t* counts;  // (experts)
  int32_t experts;
  float rate;
};
void launch(const ExpertBiasUpdateLaunch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
