// How CPU ops share work between threads: contiguous ranges, column sums and long sums in a fixed order.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace timetrial::ops::cpu {

// Below this many elements a second thread costs more than it brings.
inline constexpr int64_t kElementsWorthAThread = 16384;

// Calls f(begin, end) on contiguous parts of [0, n), one per thread; `width` is the number of elements an index stands
// for. f must not throw.
template <class F>
void parallel_ranges(int64_t n, int64_t width, const F& f) {
  if (n <= 0) return;
  if (n * width <= kElementsWorthAThread || n == 1) return f(int64_t{0}, n);
#pragma omp parallel
  {
    const int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
    const int64_t begin = n * thread / threads, end = n * (thread + 1) / threads;
    if (begin < end) f(begin, end);
  }
}

// As parallel_ranges over [0, columns) with borders at multiples of 16, so that two threads never write one cache line.
// Per-column work keeps its order whatever the number of threads.
template <class F>
void parallel_columns(int64_t columns, int64_t rows, const F& f) {
  constexpr int64_t kBlock = 16;
  parallel_ranges((columns + kBlock - 1) / kBlock, kBlock * rows,
                  [&](int64_t begin, int64_t end) { f(begin * kBlock, std::min(end * kBlock, columns)); });
}

// out[j] += sum over rows of a term. add_rows(part, row_begin, row_end, column_begin, column_end) adds the terms of
// some rows to part[0 .. column_end - column_begin). Rows are summed in chunks, so the error grows with the square root
// of the row count, and the result does not depend on the number of threads.
template <class T, class AddRows>
void add_column_sums(T* out, int64_t rows, int64_t columns, const AddRows& add_rows) {
  constexpr int64_t kColumns = 256, kRows = 64;
  parallel_columns(columns, rows, [&](int64_t begin, int64_t end) {
    for (int64_t column = begin; column < end; column += kColumns) {
      const int64_t width = std::min(kColumns, end - column);
      T total[kColumns] = {};
      for (int64_t row = 0; row < rows; row += kRows) {
        T part[kColumns] = {};
        add_rows(part, row, std::min(row + kRows, rows), column, column + width);
        for (int64_t j = 0; j < width; ++j) total[j] += part[j];
      }
      for (int64_t j = 0; j < width; ++j) out[column + j] += total[j];
    }
  });
}

// Sum of sum_chunk(begin, end) over chunks of 4096 indices, added in order: the same for any number of threads.
template <class SumChunk>
double chunked_sum(int64_t begin, int64_t end, const SumChunk& sum_chunk) {
  constexpr int64_t kChunk = 4096, kChunks = 256;  // partial sums on the stack
  double total = 0;
  for (int64_t base = begin; base < end; base += kChunk * kChunks) {
    const int64_t chunks = std::min(kChunks, (end - base + kChunk - 1) / kChunk);
    double partial[kChunks];
    parallel_ranges(chunks, kChunk, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i)
        partial[i] = sum_chunk(base + i * kChunk, std::min(base + (i + 1) * kChunk, end));
    });
    for (int64_t i = 0; i < chunks; ++i) total += partial[i];
  }
  return total;
}

}  // namespace timetrial::ops::cpu
