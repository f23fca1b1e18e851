// Column sums in a fixed order: bias gradients and norm weight gradients.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

inline constexpr int kTile = 32;  // columns per block, and rows it reads at once

// Rows [begin, end) of a matrix.
struct ColumnRows {
  int64_t begin, end, columns;
};

// out[j] += sum over rows of term(row, j), for the 32 columns of blockIdx.x. A block walks all rows, so no workspace
// and no atomics are needed; the order of the additions is fixed. All threads of a block of (32, 32) must call it.
template <class Out, class Term>
__device__ void add_block_column_sums(Out* out, ColumnRows rows, Term term) {
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
  if (threadIdx.y == 0 && column < rows.columns) store(out + column, load(out + column) + partial[0][threadIdx.x]);
}

// Grid ceil(columns / 32).
template <class Out, class Term>
__global__ void column_sums_kernel(Out* out, int64_t rows, int64_t columns, Term term) {
  add_block_column_sums(out, {0, rows, columns}, term);
}

template <class Out, class Term>
void add_column_sums(Out* out, int64_t rows, int64_t columns, Term term, StreamRef stream) {
  if (rows == 0 || columns == 0) return;
  const DeviceScope scope(stream.device.index);
  const auto blocks = static_cast<unsigned>((columns + kTile - 1) / kTile);
  column_sums_kernel<<<blocks, dim3(kTile, kTile), 0, stream_of(stream)>>>(out, rows, columns, term);
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
