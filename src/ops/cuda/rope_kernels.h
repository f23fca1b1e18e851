// Launcher of the rotary kernel: plain pointers to device memory. `type` is f32 or bf16, the storage of x.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

struct RopeLaunch {
  void* x;                 // (rows, width), turned in place
  const float *cos, *sin;  // (length, half)
  int64_t rows, width, length, half, heads;
  float direction;  // 1 or -1
  DType type;
};
void launch(const RopeLaunch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
