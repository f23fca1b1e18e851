// c = op(a) op(b) + bias. The float product is oneDNN's; the double one shares nothing with it and checks it.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/matmul.h"

#include <dnnl.h>

#include <algorithm>

#include "ops/cpu/parallel.h"
#include "ops/cpu/vector_math.h"

namespace timetrial::ops::cpu {

namespace {

struct Sizes {
  int64_t m, n, k;
};

Sizes sizes_of(const Matmul& a) { return {a.c.dim(0), a.c.dim(1), a.a.dim(a.transpose_a ? 0 : 1)}; }

void product(const Matmul& a, Sizes s, float* c) {
  const auto leading = [](const Tensor& tensor) { return std::max<int64_t>(tensor.dim(1), 1); };
  const dnnl_status_t status =
      dnnl_sgemm(a.transpose_a ? 'T' : 'N', a.transpose_b ? 'T' : 'N', s.m, s.n, s.k, 1.0f, a.a.data<float>(),
                 leading(a.a), a.b.data<float>(), leading(a.b), a.accumulate ? 1.0f : 0.0f, c, leading(a.c));
  TIMETRIAL_CHECK(status == dnnl_success, "dnnl_sgemm refused {} x {} x {} with status {}", s.m, s.n, s.k,
                  static_cast<int>(status));
}

// Four rows of c at a time, so that a row of b is read once for four.
void product(const Matmul& a, Sizes s, double* c) {
  constexpr int64_t kRows = 4;
  const double* b = a.b.data<double>();
  const double* pa = a.a.data<double>();
  const int64_t row_step = a.transpose_a ? 1 : s.k, k_step = a.transpose_a ? s.m : 1;
  if (!a.accumulate) std::fill_n(c, s.m * s.n, 0.0);
  parallel_ranges((s.m + kRows - 1) / kRows, kRows * s.n * s.k, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      for (int64_t l = 0; l < s.k && !a.transpose_b; ++l)
        for (int64_t i = block * kRows; i < std::min((block + 1) * kRows, s.m); ++i) {
          const double factor = pa[i * row_step + l * k_step];
#pragma omp simd
          for (int64_t j = 0; j < s.n; ++j) c[i * s.n + j] += factor * b[l * s.n + j];
        }
      for (int64_t j = 0; j < s.n && a.transpose_b; ++j)
        for (int64_t i = block * kRows; i < std::min((block + 1) * kRows, s.m); ++i) {
          double sum = 0;
#pragma omp simd reduction(+ : sum)
          for (int64_t l = 0; l < s.k; ++l) sum += pa[i * row_step + l * k_step] * b[j * s.k + l];
          c[i * s.n + j] += sum;
        }
    }
  });
}

template <class T>
void add_to_rows(T* c, const T* bias, int64_t rows, int64_t n) {
  parallel_ranges(rows, n, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) c[i * n + j] += bias[j];
  });
}

// Some columns of some rows of a matrix whose rows are n long.
template <class T>
struct Part {
  const T* data;
  int64_t n, row_begin, row_end, begin, end;
};

template <class T>
[[gnu::always_inline]] inline void add_rows_body(T* sums, const Part<T>& p) {
  for (int64_t i = p.row_begin; i < p.row_end; ++i) {
    const T* row = p.data + i * p.n;
#pragma omp simd
    for (int64_t j = p.begin; j < p.end; ++j) sums[j - p.begin] += row[j];
  }
}

TIMETRIAL_MULTIVERSION void add_rows(float* sums, const Part<float>& p) { add_rows_body(sums, p); }
void add_rows(double* sums, const Part<double>& p) { add_rows_body(sums, p); }

}  // namespace

template <class T>
void matmul(const Matmul& a) {
  const Sizes s = sizes_of(a);
  if (s.m == 0 || s.n == 0) return;
  T* c = a.c.data<T>();
  if (s.k > 0)
    product(a, s, c);
  else if (!a.accumulate)
    std::fill_n(c, s.m * s.n, T{0});
  if (a.bias) add_to_rows(c, a.bias.data<T>(), s.m, s.n);
}

template <class T>
void bias_backward(const BiasBackward& a) {
  const int64_t n = a.d_out.dim(1);
  const T* d_out = a.d_out.data<T>();
  add_column_sums(a.d_bias.data<T>(), a.d_out.dim(0), n,
                  [&](T* sums, int64_t row_begin, int64_t row_end, int64_t begin, int64_t end) {
                    add_rows(sums, {d_out, n, row_begin, row_end, begin, end});
                  });
}

template void matmul<float>(const Matmul&);
template void matmul<double>(const Matmul&);
template void bias_backward<float>(const BiasBackward&);
template void bias_backward<double>(const BiasBackward&);

}  // namespace timetrial::ops::cpu
