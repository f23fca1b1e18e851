// QK-norm rows: one body for both types; the float instances are built for several instruction sets.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/head_norm.h"

#include <algorithm>
#include <cmath>

#include "ops/cpu/parallel.h"
#include "ops/cpu/vector_math.h"

namespace timetrial::ops::cpu {

namespace {

// Raw pointers of one op and the layout of a row; unused ones stay null.
template <class T>
struct Rows {
  int64_t width, head_dim, query_heads, normed_heads;  // normed: query and key heads
  T *out, *rstd_out;
  const T *x, *q_weight, *k_weight, *d_out, *rstd;
  T epsilon;

  const T* weight(int64_t head) const { return head < query_heads ? q_weight : k_weight; }
};

// Heads of one kind, and the part of them that is summed: occurrence i is head i mod count of row i / count.
struct Part {
  int64_t first_head, heads;
  int64_t begin, end, column_begin, column_end;
};

template <class T>
[[gnu::always_inline]] inline void forward_body(const Rows<T>& a, int64_t begin, int64_t end) {
  const int64_t dim = a.head_dim, normed = a.normed_heads * dim;
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t head = 0; head < a.normed_heads; ++head) {
      const T* x = a.x + row * a.width + head * dim;
      T* out = a.out + row * a.width + head * dim;
      const T* weight = a.weight(head);
      T squares = 0;
#pragma omp simd reduction(+ : squares)
      for (int64_t j = 0; j < dim; ++j) squares += x[j] * x[j];
      const T rstd = 1 / std::sqrt(squares / static_cast<T>(dim) + a.epsilon);
      a.rstd_out[row * a.normed_heads + head] = rstd;
#pragma omp simd
      for (int64_t j = 0; j < dim; ++j) out[j] = weight[j] * (x[j] * rstd);
    }
    std::copy_n(a.x + row * a.width + normed, a.width - normed, a.out + row * a.width + normed);
  }
}

template <class T>
[[gnu::always_inline]] inline void backward_input_body(const Rows<T>& a, int64_t begin, int64_t end) {
  const int64_t dim = a.head_dim, normed = a.normed_heads * dim;
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t head = 0; head < a.normed_heads; ++head) {
      const T* x = a.x + row * a.width + head * dim;
      const T* d_out = a.d_out + row * a.width + head * dim;
      T* d_x = a.out + row * a.width + head * dim;
      const T* weight = a.weight(head);
      const T rstd = a.rstd[row * a.normed_heads + head];
      T product = 0;
#pragma omp simd reduction(+ : product)
      for (int64_t j = 0; j < dim; ++j) product += weight[j] * d_out[j] * x[j];
      const T factor = rstd * rstd * rstd * (product / static_cast<T>(dim));
#pragma omp simd
      for (int64_t j = 0; j < dim; ++j) d_x[j] = rstd * (weight[j] * d_out[j]) - x[j] * factor;
    }
    std::copy_n(a.d_out + row * a.width + normed, a.width - normed, a.out + row * a.width + normed);
  }
}

template <class T>
[[gnu::always_inline]] inline void backward_weight_body(T* sums, const Rows<T>& a, const Part& part) {
  for (int64_t i = part.begin; i < part.end; ++i) {
    const int64_t row = i / part.heads, head = part.first_head + i % part.heads;
    const T* x = a.x + row * a.width + head * a.head_dim;
    const T* d_out = a.d_out + row * a.width + head * a.head_dim;
    const T rstd = a.rstd[row * a.normed_heads + head];
#pragma omp simd
    for (int64_t j = part.column_begin; j < part.column_end; ++j)
      sums[j - part.column_begin] += d_out[j] * (x[j] * rstd);
  }
}

TIMETRIAL_MULTIVERSION void forward(const Rows<float>& a, int64_t begin, int64_t end) { forward_body(a, begin, end); }
void forward(const Rows<double>& a, int64_t begin, int64_t end) { forward_body(a, begin, end); }

TIMETRIAL_MULTIVERSION void backward_input(const Rows<float>& a, int64_t begin, int64_t end) {
  backward_input_body(a, begin, end);
}
void backward_input(const Rows<double>& a, int64_t begin, int64_t end) { backward_input_body(a, begin, end); }

TIMETRIAL_MULTIVERSION void backward_weight(float* sums, const Rows<float>& a, const Part& part) {
  backward_weight_body(sums, a, part);
}
void backward_weight(double* sums, const Rows<double>& a, const Part& part) { backward_weight_body(sums, a, part); }

// The layout, from what every op has.
template <class T>
Rows<T> rows_of(const Tensor& x, const Tensor& rstd, int64_t heads, int64_t head_dim) {
  Rows<T> rows{};
  rows.width = x.dim(1);
  rows.head_dim = head_dim;
  rows.query_heads = heads;
  rows.normed_heads = rstd.dim(1);
  rows.x = x.data<T>();
  return rows;
}

// Columns are few and rows many, so every head of a row counts as a row of its own.
template <class T>
void add_weight_gradient(const Tensor& d_weight, const Rows<T>& rows, int64_t row_count, const Part& kind) {
  add_column_sums(d_weight.data<T>(), row_count * kind.heads, rows.head_dim,
                  [&](T* sums, int64_t begin, int64_t end, int64_t column_begin, int64_t column_end) {
                    backward_weight(sums, rows, {kind.first_head, kind.heads, begin, end, column_begin, column_end});
                  });
}

}  // namespace

template <class T>
void head_norm_forward(const HeadNormForward& a) {
  Rows<T> rows = rows_of<T>(a.x, a.rstd, a.heads, a.q_weight.dim(0));
  rows.out = a.out.data<T>();
  rows.rstd_out = a.rstd.data<T>();
  rows.q_weight = a.q_weight.data<T>();
  rows.k_weight = a.k_weight.data<T>();
  rows.epsilon = static_cast<T>(a.epsilon);
  parallel_ranges(a.x.dim(0), rows.width, [&](int64_t begin, int64_t end) { forward(rows, begin, end); });
}

template <class T>
void head_norm_backward_input(const HeadNormBackwardInput& a) {
  Rows<T> rows = rows_of<T>(a.x, a.rstd, a.heads, a.q_weight.dim(0));
  rows.out = a.d_x.data<T>();
  rows.d_out = a.d_out.data<T>();
  rows.rstd = a.rstd.data<T>();
  rows.q_weight = a.q_weight.data<T>();
  rows.k_weight = a.k_weight.data<T>();
  parallel_ranges(a.x.dim(0), rows.width, [&](int64_t begin, int64_t end) { backward_input(rows, begin, end); });
}

template <class T>
void head_norm_backward_weight(const HeadNormBackwardWeight& a) {
  Rows<T> rows = rows_of<T>(a.x, a.rstd, a.heads, a.d_q_weight.dim(0));
  rows.d_out = a.d_out.data<T>();
  rows.rstd = a.rstd.data<T>();
  Part queries{}, keys{};
  queries.heads = keys.first_head = rows.query_heads;
  keys.heads = rows.normed_heads - rows.query_heads;
  add_weight_gradient(a.d_q_weight, rows, a.x.dim(0), queries);
  add_weight_gradient(a.d_k_weight, rows, a.x.dim(0), keys);
}

template void head_norm_forward<float>(const HeadNormForward&);
template void head_norm_forward<double>(const HeadNormForward&);
template void head_norm_backward_input<float>(const HeadNormBackwardInput&);
template void head_norm_backward_input<double>(const HeadNormBackwardInput&);
template void head_norm_backward_weight<float>(const HeadNormBackwardWeight&);
template void head_norm_backward_weight<double>(const HeadNormBackwardWeight&);

}  // namespace timetrial::ops::cpu
