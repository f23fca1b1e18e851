// One 64 x 64 tile of a matrix product in fp32, from strided operands: the plain fallback of grouped products.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

inline constexpr int kProductTile = 64;      // rows and columns of a tile
inline constexpr int kProductDepth = 16;     // terms per step through shared memory
inline constexpr int kProductThreads = 256;  // 16 x 16 threads with 4 x 4 elements each
inline constexpr int kProductPart = 4;

// One side of a product: element (i, d) is data[i * stride + d * depth_stride], 0 from i = count on. i counts rows of
// the left side or columns of the right side, d the terms of the sum.
template <class T>
struct ProductSide {
  const T* data;
  int64_t stride, depth_stride, count;
};

// side elements [0, 64) x [first, first + 16) into tile[d][i]. Neighbouring threads read neighbouring memory.
template <class T>
__device__ void load_product_side(float (*tile)[kProductTile + 1], const ProductSide<T>& side, int64_t first,
                                  int64_t depth) {
  for (int at = threadIdx.x; at < kProductTile * kProductDepth; at += kProductThreads) {
    const bool depth_is_dense = side.depth_stride == 1;
    const int i = depth_is_dense ? at / kProductDepth : at % kProductTile;
    const int d = depth_is_dense ? at % kProductDepth : at / kProductTile;
    const bool inside = i < side.count && first + d < depth;
    tile[d][i] = inside ? load(side.data + i * side.stride + (first + d) * side.depth_stride) : 0.0f;
  }
}

// The sums of a tile that a thread owns: element (r, c) belongs to row r * 16 + threadIdx.x / 16 and column
// c * 16 + threadIdx.x % 16.
struct ProductSums {
  float at[kProductPart][kProductPart] = {};
  __device__ static int row(int r) { return r * 16 + static_cast<int>(threadIdx.x) / 16; }
  __device__ static int column(int c) { return c * 16 + static_cast<int>(threadIdx.x) % 16; }
};

// Sum over d of left(row, d) right(column, d), in the order of d. All kProductThreads threads must call it.
template <class T>
__device__ ProductSums product_tile(const ProductSide<T>& left, const ProductSide<T>& right, int64_t depth) {
  __shared__ float left_tile[kProductDepth][kProductTile + 1], right_tile[kProductDepth][kProductTile + 1];
  ProductSums sums;
  for (int64_t first = 0; first < depth; first += kProductDepth) {
    __syncthreads();  // the tiles before may still be being read
    load_product_side(left_tile, left, first, depth);
    load_product_side(right_tile, right, first, depth);
    __syncthreads();
#pragma unroll
    for (int d = 0; d < kProductDepth; ++d) {
      float x[kProductPart], y[kProductPart];
#pragma unroll
      for (int i = 0; i < kProductPart; ++i) {
        x[i] = left_tile[d][ProductSums::row(i)];
        y[i] = right_tile[d][ProductSums::column(i)];
      }
#pragma unroll
      for (int r = 0; r < kProductPart; ++r)
#pragma unroll
        for (int c = 0; c < kProductPart; ++c) sums.at[r][c] += x[r] * y[c];
    }
  }
  return sums;
}

}  // namespace timetrial::ops::cuda
