// Token embedding: rows of a table, and the scatter-add that is its gradient.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

// Ids must lie in [0, V): the loader has checked them. The CPU checks again and throws Error.
struct EmbeddingForward {
  Tensor out;         // (N, C)
  Tensor table, ids;  // (V, C), (N) int32
};
void embedding_forward(const EmbeddingForward& a, StreamRef stream);

// d_table[ids[i]] += d_out[i], in the order of i for every row: bit-equal from run to run.
struct EmbeddingBackward {
  Tensor d_table;     // (V, C), accumulated
  Tensor d_out, ids;  // (N, C), (N) int32
};
void embedding_backward(const EmbeddingBackward& a, StreamRef stream);

}  // namespace timetrial::ops
