// Launchers of the routing kernels: plain pointers to device memory. `type` is f32 or bf16, the storage of every void
// pointer. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

struct RouteForwardLaunch {
  int32_t* expert;     // (tokens, choices)
  float* gate;         // (tokens, choices)
  const void* logits;  // (tokens, experts)
  int64_t tokens, experts, choices;
  DType type;
};
void launch(const RouteForwardLaunch& a, StreamRef stream);

struct RouteBackwardLaunch {
  void* d_logits;              // (tokens, experts)
  const float *d_gate, *gate;  // (tokens, choices)
  const int32_t* expert;
  int64_t tokens, experts, choices;
  DType type;
};
void launch(const RouteBackwardLaunch& a, StreamRef stream);

struct GroupByExpertLaunch {
  int32_t *expert_begin, *source, *row_of;  // (experts + 1), (pairs), (pairs)
  const int32_t* expert;                    // (pairs)
  int64_t experts, pairs;
};
void launch(const GroupByExpertLaunch& a, StreamRef stream);

struct GatherRowsLaunch {
  void* out;          // (rows, columns)
  float* gate_rows;   // (rows) or null
  const void* x;      // (rows / choices, columns)
  const float* gate;  // (rows) or null
  const int32_t* source;
  int64_t rows, columns, choices;
  DType type;
};
void launch(const GatherRowsLaunch& a, StreamRef stream);

struct CombineRowsLaunch {
  void* y;  // (tokens, columns)
  const void* rows;
  const int32_t* row_of;  // (tokens, choices)
  int64_t tokens, columns, choices;
  bool accumulate;
  DType type;
};
void launch(const CombineRowsLaunch& a, StreamRef stream);

struct UngroupScalarsLaunch {
  void* out;  // (pairs)
  const void* values;
  const int32_t* row_of;  // (pairs)
  int64_t pairs;
  DType type;
};
void launch(const UngroupScalarsLaunch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
