// Column sums in a fixed order: bias gradients and norm weight gradients.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

inline constexpr int kTile = 32;  // columns per block of column_sums_kernel, and rows it reads at once

// out[j] += sum over rows of term(row, j). A block owns 32 columns and walks all rows, so no workspace and no atomics
// are needed; the order of the additions is fixed. Block (32, 32), grid ceil(columns / 32).
template <class Out, class Term>
__global__ void column_sums_kernel(Out* out, int64_t rows, int64_t columns, Term term) {
  __shared__ float partial[kTile][kTile + 1];  // + 1: no bank conflicts
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kTile + threadIdx.x;
  float sum = 0;
  if (column < columns)
    for (int64_t row = threadIdx.y; row < rows; row += kTile) sum += term(row, column);
  partial[threadIdx.y][threadIdx.x] = sum;
  for (int half = kTile / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) partial[threadIdx.y][threadIdx.x] += partial[threadIdx.y + half][threadIdx.x];
  }
  if (threadIdx.y == 0 && column < columns) store(out + column, load(out + column) + partial[0][threadIdx.x]);
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
