// Launchers of the cross entropy kernels: plain pointers to device memory. `type` is f32 or bf16, the storage of
// logits. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

struct CrossEntropyForwardLaunch {
  float *loss, *lse;      // (rows) each
  const void* logits;     // (rows, columns); the product may exceed 2^31
  const int32_t* labels;  // (rows), each in [0, columns)
  int64_t rows, columns;
  DType type;
};
void launch(const CrossEntropyForwardLaunch& a, StreamRef stream);

struct CrossEntropyBackwardLaunch {
  void* logits;  // (rows, columns), turned into the gradient in place
  const float* lse;
  const int32_t* labels;
  int64_t rows, columns;
  float scale;
  DType type;
};
void launch(const CrossEntropyBackwardLaunch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
