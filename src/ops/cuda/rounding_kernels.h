// Launchers of storage rounding: plain pointers to device memory, so that nvcc sees no host-only headers. `type`
// is f32 or bf16, the storage of every void pointer. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

struct RoundToBfloat16Launch {
  float* x;  // (elements)
  int64_t elements;
};
void launch(const RoundToBfloat16Launch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
