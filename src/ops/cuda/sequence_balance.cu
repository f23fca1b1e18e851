// Sequence auxiliary loss: one block per sequence forward, one per token backward.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/best.cuh"
#include "ops/cuda/sequence_balance_kernels.h"
#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

namespace {

constexpr float kFloor = 1e-20f;  // of the sum of a token's scores (spec 3.4)

// Counts are whole numbers, so the order of their additions does not show.
__global__ void forward_kernel(SequenceBalanceForwardLaunch a) {
  const int64_t sequence = blockIdx.x;
  int32_t* counts = a.counts + sequence * a.experts;
  const float* scores = a.score + sequence * a.length * a.experts;
  for (int32_t e = static_cast<int32_t>(threadIdx.x); e < a.experts; e += kRowThreads) counts[e] = 0;
  __syncthreads();
  for (int64_t t = threadIdx.x; t < a.length; t += kRowThreads) {
    const float* score = scores + t * a.experts;
    int32_t last = -1;
    for (int32_t k = 0; k < a.choices; ++k) {
      last = next_best(
          a.experts, last, [&](int32_t i) { return score[i]; }, [](int32_t) { return true; });
      atomicAdd(counts + last, 1);
    }
  }
  __syncthreads();
  float sum = 0;
  for (int64_t t = threadIdx.x; t < a.length; t += kRowThreads) {
    float total = kFloor, weighted = 0;
    for (int32_t e = 0; e < a.experts; ++e) {
      total += scores[t * a.experts + e];
      weighted += static_cast<float>(counts[e]) * scores[t * a.experts + e];
    }
    sum += weighted / total;
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) a.loss[sequence] = a.weight * sum;
}

__global__ void backward_kernel(SequenceBalanceBackwardLaunch a) {
  const int64_t row = blockIdx.x;
  const float* score = a.score + row * a.experts;
  const int32_t* counts = a.counts + row / a.length * a.experts;
  float total = 0, weighted = 0;
  for (int32_t e = static_cast<int32_t>(threadIdx.x); e < a.experts; e += kRowThreads) {
    total += score[e];
    weighted += static_cast<float>(counts[e]) * score[e];
  }
  total = block_sum(total) + kFloor;
  const float mean = block_sum(weighted) / total;
  for (int32_t e = static_cast<int32_t>(threadIdx.x); e < a.experts; e += kRowThreads)
    a.d_score[row * a.experts + e] = a.factor / total * (static_cast<float>(counts[e]) - mean);
}

}  // namespace

void launch(const SequenceBalanceForwardLaunch& a, StreamRef stream) {
  if (a.sequences == 0) return;
  const DeviceScope scope(stream.device.index);
  forward_kernel<<<static_cast<unsigned>(a.sequences), kRowThreads, 0, stream_of(stream)>>>(a);
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const SequenceBalanceBackwardLaunch& a, StreamRef stream) {
  if (a.rows == 0) return;
  const DeviceScope scope(stream.device.index);
  backward_kernel<<<static_cast<unsigned>(a.rows), kRowThreads, 0, stream_of(stream)>>>(a);
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
