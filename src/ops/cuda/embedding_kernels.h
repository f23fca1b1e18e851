// Launchers of the embedding kernels: plain pointers to device memory. Types are f32 or bf16.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

struct EmbeddingForwardLaunch {
  void* out;           // (rows, columns)
  const void* table;   // (vocabulary, columns)
  const int32_t* ids;  // (rows), each in [0, vocabulary)
  int64_t rows, columns;
  DType type;
};
void launch(const EmbeddingForwardLaunch& a, StreamRef stream);

struct EmbeddingBackwardLaunch {
  void* d_table;       // (vocabulary, columns), accumulated
  const void* d_out;   // (rows, columns)
  const int32_t* ids;  // (rows)
  int64_t rows, columns;
  DType type, table_type;
};
void launch(const EmbeddingBackwardLaunch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
