// Launchers of the gated activation kernels: plain pointers to device memory. `type` is f32 or bf16, the storage of
// every void pointer. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

struct GatedActivationForwardLaunch {
  void* out;               // (rows, width)
  const void* hidden;      // (rows, 2 width)
  const float* gate_rows;  // (rows) or null: 1
  int64_t rows, width;
  bool clamped;  // GatedActivationKind::clamped_swiglu, else swiglu
  DType type;
};
void launch(const GatedActivationForwardLaunch& a, StreamRef stream);

struct GatedActivationBackwardLaunch {
  void* d_hidden;              // (rows, 2 width)
  float* d_gate_rows;          // (rows) or null
  const void *d_out, *hidden;  // (rows, width), (rows, 2 width)
  const float* gate_rows;      // (rows) or null: 1
  int64_t rows, width;
  bool clamped;
  DType type;
};
void launch(const GatedActivationBackwardLaunch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
