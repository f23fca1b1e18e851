// Sequence auxiliary loss: forward a warp per token counts and a block per sequence sums, backward a block per token.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/best.cuh"
#include "ops/cuda/sequence_balance_kernels.h"
#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

namespace {

constexpr float kFloor = 1e-20f;  // of the sum of a token's scores (spec 3.4)

constexpr int kWarps = kRowThreads / 32;

// A warp per token. Counts are whole numbers, so the order of their additions does not show.
__global__ void count_kernel(SequenceBalanceForwardLaunch a) {
  const int64_t token = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (token >= a.sequences * a.length) return;
  const float* score = a.score + token * a.experts;
  int32_t* counts = a.counts + token / a.length * a.experts;
  int32_t last = -1;
  for (int32_t k = 0; k < a.choices; ++k) {
    last = warp_next_best(
        a.experts, last, [&](int32_t i) { return score[i]; }, [](int32_t) { return true; });
    if (threadIdx.x % 32 == 0) atomicAdd(counts + last, 1);
  }
}

// A block per sequence, in which a warp sums every eighth token's row: the order of the additions is fixed.
__global__ void loss_kernel(SequenceBalanceForwardLaunch a) {
  const int64_t sequence = blockIdx.x;
  const int32_t* counts = a.counts + sequence * a.experts;
  const int32_t lane = threadIdx.x % 32;
  float sum = 0;
  for (int64_t t = threadIdx.x / 32; t < a.length; t += kWarps) {
    const float* score = a.score + (sequence * a.length + t) * a.experts;
    float total = 0, weighted = 0;
    for (int32_t e = lane; e < a.experts; e += 32) {
      total += score[e];
      weighted += static_cast<float>(counts[e]) * score[e];
    }
    total = warp_sum(total) + kFloor;
    sum += warp_sum(weighted) / total;
  }
  sum = block_sum(lane == 0 ? sum : 0.0f);
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
  TIMETRIAL_CUDA(
      cudaMemsetAsync(a.counts, 0, static_cast<size_t>(a.sequences * a.experts) * sizeof(int32_t), stream_of(stream)));
  const auto blocks = static_cast<unsigned>((a.sequences * a.length + kWarps - 1) / kWarps);
  if (blocks > 0) count_kernel<<<blocks, kRowThreads, 0, stream_of(stream)>>>(a);
  loss_kernel<<<static_cast<unsigned>(a.sequences), kRowThreads, 0, stream_of(stream)>>>(a);
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const SequenceBalanceBackwardLaunch& a, StreamRef stream) {
  if (a.rows == 0) return;
  const DeviceScope scope(stream.device.index);
  backward_kernel<<<static_cast<unsigned>(a.rows), kRowThreads, 0, stream_of(stream)>>>(a);
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
