// Launchers of additions and sums: plain pointers to device memory. `type` is f32 or bf16, the storage of every
// pointer. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

struct AddLaunch {
  void* out;
  const void *a, *b;
  int64_t elements;
  DType type;
};
void launch(const AddLaunch& a, StreamRef stream);

struct AccumulateSumLaunch {
  void* out;      // (1), accumulated
  const void* x;  // (elements)
  int64_t elements;
  double scale;
  DType type;
};
void launch(const AccumulateSumLaunch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
