// Launchers of the sequence auxiliary loss: plain pointers to device memory, so that nvcc sees no host-only headers.
// `type` is f32 or bf16, the storage of every void pointer. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

struct SequenceBalanceForwardLaunch {
  float* loss;         // (sequences)
  int32_t* counts;     // (sequences, experts)
  const float* score;  // (sequences * length, experts)
  int64_t sequences, length;
  int32_t experts, choices;
  float weight;  // E / (k T^2)
};
void launch(const SequenceBalanceForwardLaunch& a, StreamRef stream);

struct SequenceBalanceBackwardLaunch {
  float* d_score;         // (sequences * length, experts)
  const float* score;     // as d_score
  const int32_t* counts;  // (sequences, experts)
  int64_t rows, length;
  int32_t experts;
  float factor;  // scale E / (k T^2)
};
void launch(const SequenceBalanceBackwardLaunch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
