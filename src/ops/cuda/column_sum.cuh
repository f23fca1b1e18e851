// Column sums in a fixed order: bias gradients and norm weight gradients.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/cuda/storage.cuh"
#include "ops/cuda/sum_scratch.h"

namespace timetrial::ops::cuda {

inline constexpr int kTile = 32;  // columns per block, and rows it reads at once

// Rows [begin, end) of a matrix.
struct ColumnRows {
  int64_t begin, end, columns;
};

// The sum over rows of term(row, j) for the 32 columns j of blockIdx.x, one per threadIdx.x, in threads of threadIdx.y
// 0; the order of the additions is fixed. All threads of a block of (32, 32) must call it.
template <class Term>
__device__ float block_column_sum(ColumnRows rows, Term term) {
  __shared__ float partial[kTile][kTile + 1];  // + 1: no bank conflicts
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kTile + threadIdx.x;
  float sum = 0;
  if (column < rows.columns)
    for (int64_t row = rows.begin + threadIdx.y; row < rows.end; row += kTile) sum += term(row, column);
  partial[threadIdx.y][threadIdx.x] = sum;
  for (int half = kTile / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) partial[threadIdx.y][threadIdx.x] += partial[threadIdx.y + half][threadIdx.x];
  }
  return partial[0][threadIdx.x];
}

// out[j] += that sum, by a block that walks all rows.
template <class Out, class Term>
__device__ void add_block_column_sums(Out* out, ColumnRows rows, Term term) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kTile + threadIdx.x;
  const float sum = block_column_sum(rows, term);
  if (threadIdx.y == 0 && column < rows.columns) store(out + column, load(out + column) + sum);
}

// Grid ceil(columns / 32).
template <class Out, class Term>
__global__ void column_sums_kernel(Out* out, int64_t rows, int64_t columns, Term term) {
  add_block_column_sums(out, {0, rows, columns}, term);
}

// Grid (ceil(columns / 32), slices): slice s of the rows goes to row s of `sums`.
template <class Term>
__global__ void slice_sums_kernel(float* sums, int64_t rows, int64_t columns, Term term) {
  const int64_t slice = blockIdx.y, slices = gridDim.y, column = static_cast<int64_t>(blockIdx.x) * kTile + threadIdx.x;
  const float sum = block_column_sum({rows * slice / slices, rows * (slice + 1) / slices, columns}, term);
  if (threadIdx.y == 0 && column < columns) sums[slice * columns + column] = sum;
}

struct SliceTerm {
  const float* sums;
  int64_t columns;
  __device__ float operator()(int64_t slice, int64_t column) const { return sums[slice * columns + column]; }
};

inline constexpr int64_t kMostSlices = 128;

// out[j] += sum over rows of term(row, j), without atomics and in a fixed order. Few columns make few blocks; where
// scratch has room, the rows are cut into slices that blocks sum side by side, and whose sums are then added in order.
// How many depends on the sizes alone.
template <class Out, class Term>
void add_column_sums(Out* out, int64_t rows, int64_t columns, Term term, SumScratch scratch, StreamRef stream) {
  if (rows == 0 || columns == 0) return;
  const DeviceScope scope(stream.device.index);
  const auto blocks = static_cast<unsigned>((columns + kTile - 1) / kTile);
  const dim3 threads(kTile, kTile);
  const int64_t room = scratch.data ? scratch.bytes / (columns * static_cast<int64_t>(sizeof(float))) : 0;
  const int64_t wanted = rows / kTile < kMostSlices ? rows / kTile : kMostSlices,
                slices = wanted < room ? wanted : room;
  if (slices > 1) {
    auto* const sums = static_cast<float*>(scratch.data);
    slice_sums_kernel<<<dim3(blocks, static_cast<unsigned>(slices)), threads, 0, stream_of(stream)>>>(sums, rows,
                                                                                                      columns, term);
    TIMETRIAL_CUDA(cudaGetLastError());
    column_sums_kernel<<<blocks, threads, 0, stream_of(stream)>>>(out, slices, columns, SliceTerm{sums, columns});
  } else {
    column_sums_kernel<<<blocks, threads, 0, stream_of(stream)>>>(out, rows, columns, term);
  }
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
