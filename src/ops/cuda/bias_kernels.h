// Launchers of the bias kernels: plain pointers to device memory. Types are f32 or bf16.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/cuda/sum_scratch.h"
#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

// c[i][j] += bias[j]; where there is a product, its epilogue does this.
struct AddToRowsLaunch {
  void* c;           // (rows, columns)
  const void* bias;  // (columns)
  int64_t rows, columns;
  DType type;
};
void launch(const AddToRowsLaunch& a, StreamRef stream);

struct BiasBackwardLaunch {
  void* d_bias;       // (columns), accumulated
  const void* d_out;  // (rows, columns)
  int64_t rows, columns;
  DType type, bias_type;
  SumScratch scratch = {};
};
void launch(const BiasBackwardLaunch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
