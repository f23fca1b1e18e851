// Rows out of the table by threads over tokens; gradients into it by threads over columns, so that every row sees its
// tokens in order. SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/embedding.h"

#include <algorithm>

#include "ops/cpu/parallel.h"

namespace timetrial::ops::cpu {

namespace {

void check_ids(const Tensor& ids, int64_t rows) {
  const int32_t* id = ids.data<int32_t>();
  for (int64_t i = 0; i < ids.elements(); ++i)
    TIMETRIAL_CHECK(0 <= id[i] && id[i] < rows, "embedding: id {} of token {} is not in [0, {})", id[i], i, rows);
}

}  // namespace

template <class T>
void embedding_forward(const EmbeddingForward& a) {
  const int64_t columns = a.table.dim(1);
  check_ids(a.ids, a.table.dim(0));
  const int32_t* id = a.ids.data<int32_t>();
  const T* table = a.table.data<T>();
  T* out = a.out.data<T>();
  parallel_ranges(a.out.dim(0), columns, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) std::copy_n(table + id[i] * columns, columns, out + i * columns);
  });
}

template <class T>
void embedding_backward(const EmbeddingBackward& a) {
  const int64_t columns = a.d_table.dim(1);
  check_ids(a.ids, a.d_table.dim(0));
  const int32_t* id = a.ids.data<int32_t>();
  const T* d_out = a.d_out.data<T>();
  T* d_table = a.d_table.data<T>();
  parallel_columns(columns, a.d_out.dim(0), [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < a.d_out.dim(0); ++i) {
      T* row = d_table + id[i] * columns;
#pragma omp simd
      for (int64_t j = begin; j < end; ++j) row[j] += d_out[i * columns + j];
    }
  });
}

template void embedding_forward<float>(const EmbeddingForward&);
template void embedding_forward<double>(const EmbeddingForward&);
template void embedding_backward<float>(const EmbeddingBackward&);
template void embedding_backward<double>(const EmbeddingBackward&);

}  // namespace timetrial::ops::cpu
