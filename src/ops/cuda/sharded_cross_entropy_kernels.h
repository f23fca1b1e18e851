// Launchers of the kernels for cross entropy over shards: plain pointers to device memory. `type` is f32 or bf16, the
// storage of logits. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

struct CrossEntropyShardForwardLaunch {
  float* statistics;      // (3, rows)
  const void* logits;     // (rows, columns); the product may exceed 2^31
  const int32_t* labels;  // (rows)
  int64_t rows, columns, first_class;
  DType type;
};
void launch(const CrossEntropyShardForwardLaunch& a, StreamRef stream);

struct CrossEntropyCombineLaunch {
  float *loss, *lse;        // (rows) each
  const float* statistics;  // (shards, 3, rows)
  int64_t shards, rows;
};
void launch(const CrossEntropyCombineLaunch& a, StreamRef stream);

struct CrossEntropyShardBackwardLaunch {
  void* logits;  // (rows, columns), turned into the gradient in place
  const float* lse;
  const int32_t* labels;
  int64_t rows, columns, first_class;
  float scale;
  DType type;
};
void launch(const CrossEntropyShardBackwardLaunch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
