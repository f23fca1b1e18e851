// Grouping pairs by expert: a block per expert counts the pairs before its own, then places its own in their order.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/chunk_matches.cuh"
#include "ops/cuda/routing_kernels.h"

namespace timetrial::ops::cuda {

namespace {

// Every block reads all pairs twice, out of the cache: 17 MB for 65536 pairs of 32 experts. In return there are no
// atomics, no workspace, and no count leaves the device.
__global__ void group_kernel(GroupByExpertLaunch a) {
  const auto own = static_cast<int32_t>(blockIdx.x);
  int32_t row = 0;
  for (int64_t begin = 0; begin < a.pairs; begin += kRowThreads) {
    const int64_t pair = begin + threadIdx.x;
    row += __syncthreads_count(pair < a.pairs && a.expert[pair] < own);
  }
  if (threadIdx.x == 0) a.expert_begin[own] = row;
  for (int64_t begin = 0; begin < a.pairs; begin += kRowThreads) {
    const ChunkMatch match = match_chunk(a.expert, own, begin, a.pairs);
    if (match.mine) {
      const int64_t pair = begin + threadIdx.x;
      a.source[row + match.before] = static_cast<int32_t>(pair);
      a.row_of[pair] = row + match.before;
    }
    row += match.total;
  }
  if (own + 1 == a.experts && threadIdx.x == 0) a.expert_begin[a.experts] = row;
}

}  // namespace

void launch(const GroupByExpertLaunch& a, StreamRef stream) {
  const DeviceScope scope(stream.device.index);
  group_kernel<<<static_cast<unsigned>(a.experts), kRowThreads, 0, stream_of(stream)>>>(a);
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
