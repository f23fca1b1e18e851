// Launchers of the QK-norm kernels: plain pointers to device memory. `type` is f32 or bf16, the storage of every void
// pointer. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/cuda/sum_scratch.h"
#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

// A row holds query heads, key heads and a rest that is no head.
struct HeadRows {
  int64_t rows, width, head_dim, query_heads, normed_heads;  // normed: query and key heads
  DType type;
};

struct HeadNormForwardLaunch {
  void* out;                            // (rows, width)
  float* rstd;                          // (rows, normed_heads)
  const void *x, *q_weight, *k_weight;  // (rows, width), (head_dim) twice
  float epsilon;
  HeadRows shape;
};
void launch(const HeadNormForwardLaunch& a, StreamRef stream);

struct HeadNormBackwardInputLaunch {
  void* d_x;  // (rows, width)
  const void *d_out, *x, *q_weight, *k_weight;
  const float* rstd;
  HeadRows shape;
};
void launch(const HeadNormBackwardInputLaunch& a, StreamRef stream);

struct HeadNormBackwardWeightLaunch {
  float *d_q_weight, *d_k_weight;  // (head_dim), accumulated
  const void *d_out, *x;
  const float* rstd;
  HeadRows shape;
  SumScratch scratch = {};
};
void launch(const HeadNormBackwardWeightLaunch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
