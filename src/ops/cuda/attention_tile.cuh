// What the attention kernels share: tiles of 32 rows in shared memory, four rows to a warp, the other tile's rows to
// its lanes. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/cuda/attention_kernels.h"
#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

inline constexpr int kAttentionTile = 32;  // rows of every tile, one per lane
inline constexpr int kAttentionWarps = 8;
inline constexpr int kAttentionThreads = 32 * kAttentionWarps;
inline constexpr int kOwnRows = kAttentionTile / kAttentionWarps;  // row r of a warp is warp + r * kAttentionWarps

__device__ inline int lane_of_thread() { return static_cast<int>(threadIdx.x) % 32; }
__device__ inline int own_row(int r) { return static_cast<int>(threadIdx.x) / 32 + r * kAttentionWarps; }

// 32 rows of fp32 channels in shared memory. The stride is odd, so that lanes reading one channel of 32 rows meet 32
// banks.
struct SharedTile {
  float* data;
  int width;
  __host__ __device__ static int stride_of(int64_t width) { return static_cast<int>(width) | 1; }
  __host__ __device__ static size_t floats_of(int64_t width) {
    return static_cast<size_t>(kAttentionTile) * static_cast<size_t>(stride_of(width));
  }
  __device__ float* row(int i) const { return data + i * stride_of(width); }
};

// Hands out the dynamic shared memory of a block.
struct SharedSpace {
  float* next;
  __device__ SharedTile tile(int64_t width) {
    const SharedTile taken{next, static_cast<int>(width)};
    next += SharedTile::floats_of(width);
    return taken;
  }
};

// Rows of a tensor in device memory, the first of a tile first.
template <class T>
struct GlobalRows {
  T* data;
  int64_t stride;
  int count;  // rows that exist, from the first on; may be more than a tile or none
};

// Rows that do not exist become 0. Barriers are the caller's.
template <class T>
__device__ void load_tile(const SharedTile& tile, const GlobalRows<const T>& rows) {
  for (int i = threadIdx.x / 32; i < kAttentionTile; i += kAttentionWarps)
    for (int c = lane_of_thread(); c < tile.width; c += 32)
      tile.row(i)[c] = i < rows.count ? load(rows.data + i * rows.stride + c) : 0.0f;
}

// The warp's own rows; each lane writes what it has added up itself.
template <class T>
__device__ void store_own_rows(const GlobalRows<T>& rows, const SharedTile& tile, const float (&factor)[kOwnRows]) {
  for (int r = 0; r < kOwnRows; ++r)
    for (int c = lane_of_thread(); c < tile.width; c += 32)
      if (own_row(r) < rows.count) store(rows.data + own_row(r) * rows.stride + c, tile.row(own_row(r))[c] * factor[r]);
}

__device__ inline void clear_own_rows(const SharedTile& tile) {
  for (int r = 0; r < kOwnRows; ++r)
    for (int c = lane_of_thread(); c < tile.width; c += 32) tile.row(own_row(r))[c] = 0;
}

// out[r] = the warp's row r of `own` . the lane's row of `other`.
__device__ inline void dot_rows(float (&out)[kOwnRows], const SharedTile& own, const SharedTile& other) {
  for (int r = 0; r < kOwnRows; ++r) out[r] = 0;
  const float* right = other.row(lane_of_thread());
  for (int c = 0; c < own.width; ++c)
#pragma unroll
    for (int r = 0; r < kOwnRows; ++r) out[r] += own.row(own_row(r))[c] * right[c];
}

// sums row = factor[r] * sums row + sum over lanes of weight[r] * the lane's row of `other`, for the warp's own rows.
// `exchange` has a row of 32 per own row. Touches only rows of the warp, so no barrier of the block is needed.
__device__ inline void add_weighted_rows(const SharedTile& sums, const float (&factor)[kOwnRows],
                                         const float (&weight)[kOwnRows], const SharedTile& other,
                                         const SharedTile& exchange) {
  __syncwarp();  // the weights before may still be being read
  for (int r = 0; r < kOwnRows; ++r) exchange.row(own_row(r))[lane_of_thread()] = weight[r];
  __syncwarp();
  for (int c = lane_of_thread(); c < sums.width; c += 32) {
    float part[kOwnRows] = {};
    for (int i = 0; i < kAttentionTile; ++i)
#pragma unroll
      for (int r = 0; r < kOwnRows; ++r) part[r] += exchange.row(own_row(r))[i] * other.row(i)[c];
    for (int r = 0; r < kOwnRows; ++r) {
      float& sum = sums.row(own_row(r))[c];
      sum = sum * factor[r] + part[r];
    }
  }
}

// Addresses of one sequence's parts of qkv or d_qkv, from a position on.
template <class T>
struct QkvRows {
  T* qkv;
  const AttentionLayout& s;
  int64_t sequence;

  __device__ GlobalRows<T> rows(int64_t position, int64_t channel) const {
    return {qkv + (sequence * s.length + position) * s.qkv_width + channel, s.qkv_width,
            static_cast<int>(s.length - position < kAttentionTile ? s.length - position : kAttentionTile)};
  }
  __device__ GlobalRows<T> q(int64_t position, int64_t head) const { return rows(position, head * s.head_dim); }
  __device__ GlobalRows<T> k(int64_t position, int64_t kv) const { return rows(position, (s.heads + kv) * s.head_dim); }
  __device__ GlobalRows<T> v(int64_t position, int64_t kv) const {
    return rows(position, (s.heads + s.kv_heads) * s.head_dim + kv * s.value_dim);
  }
};

// The same of out or d_out.
template <class T>
__device__ GlobalRows<T> out_rows(T* out, const AttentionLayout& s, int64_t sequence, int64_t position, int64_t head) {
  return {out + (sequence * s.length + position) * s.out_width + head * s.value_dim, s.out_width,
          static_cast<int>(s.length - position < kAttentionTile ? s.length - position : kAttentionTile)};
}

// Whether a query sees a key; positions beyond the sequence see and are seen by none.
__device__ inline bool sees(const AttentionLayout& s, int64_t query, int64_t key) {
  return key <= query && query < s.length && (s.window_keys == 0 || query - key < s.window_keys);
}

// The first key that a query sees.
__device__ inline int64_t first_key(const AttentionLayout& s, int64_t query) {
  return s.window_keys == 0 || query < s.window_keys ? 0 : query - s.window_keys + 1;
}

extern __shared__ float attention_shared[];

// Lets a kernel have `bytes` of dynamic shared memory and queues it.
template <class Kernel, class Launch>
void launch_attention(Kernel* kernel, const Launch& a, dim3 blocks, size_t bytes, StreamRef stream) {
  TIMETRIAL_CUDA(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                      cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)));
  kernel<<<blocks, kAttentionThreads, bytes, stream_of(stream)>>>(a);
  TIMETRIAL_CUDA(cudaGetLastError());
}

inline unsigned attention_tiles(int64_t length) {
  return static_cast<unsigned>((length + kAttentionTile - 1) / kAttentionTile);
}

}  // namespace timetrial::ops::cuda
