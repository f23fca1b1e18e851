// Grouped products: a block per tile of an expert's rows, or of an expert's weight gradient; sizes are read here alone.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/grouped_matmul_kernels.h"
#include "ops/cuda/product_tile.cuh"

namespace timetrial::ops::cuda {

namespace {

// Rows [begin, end) of an expert.
struct ExpertRows {
  int64_t expert, begin, end;
};

// The tile-th tile of rows, tiles counted expert by expert; no rows when there are fewer tiles.
__device__ ExpertRows rows_of_tile(const int32_t* expert_begin, int64_t experts, int64_t tile) {
  for (int64_t e = 0; e < experts; ++e) {
    const int64_t begin = expert_begin[e], end = expert_begin[e + 1];
    const int64_t tiles = (end - begin + kProductTile - 1) / kProductTile;
    if (tile < tiles) {
      const int64_t first = begin + tile * kProductTile;
      return {e, first, first + kProductTile < end ? first + kProductTile : end};
    }
    tile -= tiles;
  }
  return {0, 0, 0};
}

template <class T>
__global__ void forward_kernel(GroupedMatmulLaunch a) {
  const ExpertRows rows = rows_of_tile(a.expert_begin, a.experts, blockIdx.x);
  if (rows.begin == rows.end) return;
  const int64_t first_column = static_cast<int64_t>(blockIdx.y) * kProductTile;
  const T* b = static_cast<const T*>(a.b) + rows.expert * a.n * a.k;
  const ProductSide<T> left{static_cast<const T*>(a.a) + rows.begin * a.k, a.k, 1, rows.end - rows.begin};
  const ProductSide<T> right = a.transpose_b ? ProductSide<T>{b + first_column * a.k, a.k, 1, a.n - first_column}
                                             : ProductSide<T>{b + first_column, 1, a.n, a.n - first_column};
  const ProductSums sums = product_tile(left, right, a.k);

  const T* bias = a.bias ? static_cast<const T*>(a.bias) + rows.expert * a.n : nullptr;
#pragma unroll
  for (int r = 0; r < kProductPart; ++r)
#pragma unroll
    for (int c = 0; c < kProductPart; ++c) {
      const int64_t row = rows.begin + ProductSums::row(r), column = first_column + ProductSums::column(c);
      if (row >= rows.end || column >= a.n) continue;
      const float scale = a.bias_scale ? a.bias_scale[row] : 1.0f;
      const float shift = bias ? scale * load(bias + column) : 0.0f;
      store(static_cast<T*>(a.c) + row * a.n + column, sums.at[r][c] + shift);
    }
}

template <class T, class Out>
__global__ void backward_weight_kernel(GroupedMatmulBackwardWeightLaunch a) {
  const int64_t expert = blockIdx.z, begin = a.expert_begin[expert], end = a.expert_begin[expert + 1];
  if (begin == end) return;
  const int64_t first_row = static_cast<int64_t>(blockIdx.y) * kProductTile,
                first_column = static_cast<int64_t>(blockIdx.x) * kProductTile;
  const ProductSide<T> left{static_cast<const T*>(a.d_c) + begin * a.n + first_row, 1, a.n, a.n - first_row};
  const ProductSide<T> right{static_cast<const T*>(a.a) + begin * a.k + first_column, 1, a.k, a.k - first_column};
  const ProductSums sums = product_tile(left, right, end - begin);

  Out* d_weight = static_cast<Out*>(a.d_weight) + expert * a.n * a.k;
#pragma unroll
  for (int r = 0; r < kProductPart; ++r)
#pragma unroll
    for (int c = 0; c < kProductPart; ++c) {
      const int64_t row = first_row + ProductSums::row(r), column = first_column + ProductSums::column(c);
      if (row >= a.n || column >= a.k) continue;
      Out* out = d_weight + row * a.k + column;
      store(out, load(out) + sums.at[r][c]);
    }
}

unsigned tiles_of(int64_t count) { return static_cast<unsigned>((count + kProductTile - 1) / kProductTile); }

}  // namespace

void launch(const GroupedMatmulLaunch& a, StreamRef stream) {
  if (a.rows == 0) return;
  const DeviceScope scope(stream.device.index);
  // Every expert may end in a tile that is not full; blocks of tiles that do not exist return at once.
  const dim3 blocks(tiles_of(a.rows) + static_cast<unsigned>(a.experts), tiles_of(a.n));
  visit_storage(a.type, [&]<class T>() { forward_kernel<T><<<blocks, kProductThreads, 0, stream_of(stream)>>>(a); });
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const GroupedMatmulBackwardWeightLaunch& a, StreamRef stream) {
  const DeviceScope scope(stream.device.index);
  const dim3 blocks(tiles_of(a.k), tiles_of(a.n), static_cast<unsigned>(a.experts));
  visit_storage(a.type, [&]<class T>() {
    visit_storage(a.weight_type, [&]<class Out>() {
      backward_weight_kernel<T, Out><<<blocks, kProductThreads, 0, stream_of(stream)>>>(a);
    });
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
