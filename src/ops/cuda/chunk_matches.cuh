// The places in a chunk of ids that hold a given id, in ascending order: grouping without atomics.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

// What the threads of a block know of a chunk of kRowThreads ids.
struct ChunkMatch {
  bool mine;   // the id at begin + threadIdx.x matches
  int before;  // matches at earlier places of the chunk
  int total;   // matches of the chunk, known to all threads
};

// Looks at ids[begin + threadIdx.x], below `end`. All kRowThreads threads of the block must call it.
__device__ inline ChunkMatch match_chunk(const int32_t* ids, int32_t id, int64_t begin, int64_t end) {
  __shared__ int warp_counts[kRowThreads / 32];
  const int64_t place = begin + threadIdx.x;
  const int lane = threadIdx.x % 32, own_warp = threadIdx.x / 32;
  ChunkMatch match{place < end && ids[place] == id, 0, 0};
  const unsigned mask = __ballot_sync(0xFFFFFFFFu, match.mine);
  __syncthreads();  // counts of the chunk before may still be being read
  if (lane == 0) warp_counts[own_warp] = __popc(mask);
  __syncthreads();
  match.before = __popc(mask & ((1u << lane) - 1));
  for (int warp = 0; warp < kRowThreads / 32; ++warp) {
    if (warp < own_warp) match.before += warp_counts[warp];
    match.total += warp_counts[warp];
  }
  return match;
}

}  // namespace timetrial::ops::cuda
