// Launchers of the RMSNorm kernels: plain pointers to device memory, so that nvcc sees no host-only headers. `type` is
// f32 or bf16, the storage of every void pointer. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

struct RmsNormForwardLaunch {
  void* out;               // (rows, columns)
  float* rstd;             // (rows)
  const void *x, *weight;  // (rows, columns), (columns)
  int64_t rows, columns;
  float epsilon;
  DType type;
};
void launch(const RmsNormForwardLaunch& a, StreamRef stream);

struct RmsNormBackwardInputLaunch {
  void* d_x;                       // (rows, columns)
  const void *d_out, *x, *weight;  // (rows, columns) twice, (columns)
  const float* rstd;               // (rows)
  int64_t rows, columns;
  DType type;
};
void launch(const RmsNormBackwardInputLaunch& a, StreamRef stream);

struct RmsNormBackwardWeightLaunch {
  void* d_weight;         // (columns), accumulated
  const void *d_out, *x;  // (rows, columns)
  const float* rstd;      // (rows)
  int64_t rows, columns;
  DType type, weight_type;
};
void launch(const RmsNormBackwardWeightLaunch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
