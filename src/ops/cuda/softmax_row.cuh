// What a block asks of its row of logits, for the whole cross entropy and for that of a shard; 64-bit places.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

// Both are known to all threads of the block; all must call them. A NaN loses every comparison in the first and shows
// in the second.
template <class T>
__device__ float largest_of(const T* logits, int64_t columns) {
  float largest = -INFINITY;
  for (int64_t j = threadIdx.x; j < columns; j += kRowThreads) largest = fmaxf(largest, load(logits + j));
  return block_max(largest);
}

template <class T>
__device__ float sum_of_exponentials(const T* logits, int64_t columns, float largest) {
  float sum = 0;
  for (int64_t j = threadIdx.x; j < columns; j += kRowThreads) sum += expf(load(logits + j) - largest);
  return block_sum(sum);
}

// (softmax - onehot) * scale in place; a label outside [0, columns) is no column of this row.
template <class T>
__device__ void to_logit_gradient(T* logits, int64_t columns, int64_t label, float lse, float scale) {
  for (int64_t j = threadIdx.x; j < columns; j += kRowThreads)
    store(logits + j, expf(load(logits + j) - lse) * scale - (j == label ? scale : 0.0f));
}

}  // namespace timetrial::ops::cuda
