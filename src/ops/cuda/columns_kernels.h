// Launchers of the column kernels: plain pointers to device memory, so that nvcc sees no host-only headers. `type`
// is f32 or bf16, the storage of every void pointer. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

struct ColumnsLaunch {
  void *whole, *left, *right;  // (rows, a + b), (rows, a), (rows, b)
  int64_t rows, left_columns, right_columns;
  bool join;  // whole from the parts; else the parts from whole
  DType type;
};
void launch(const ColumnsLaunch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
