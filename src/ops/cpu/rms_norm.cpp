// RMSNorm rows: one body for both types; the float instances are built for several instruction sets.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/rms_norm.h"

#include <cmath>

#include "ops/cpu/parallel.h"
#include "ops/cpu/vector_math.h"

namespace timetrial::ops::cpu {

namespace {

// Raw pointers of one op and the row length; unused ones stay null.
template <class T>
struct Rows {
  int64_t columns;
  T *out, *rstd_out;
  const T *x, *weight, *d_out, *rstd;
  T epsilon;
};

struct Block {
  int64_t row_begin, row_end, column_begin, column_end;
};

template <class T>
[[gnu::always_inline]] inline void forward_body(const Rows<T>& a, int64_t begin, int64_t end) {
  const int64_t columns = a.columns;
  const T* weight = a.weight;
  for (int64_t i = begin; i < end; ++i) {
    const T* x = a.x + i * columns;
    T* out = a.out + i * columns;
    T squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t j = 0; j < columns; ++j) squares += x[j] * x[j];
    const T rstd = 1 / std::sqrt(squares / static_cast<T>(columns) + a.epsilon);
    a.rstd_out[i] = rstd;
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) out[j] = weight[j] * (x[j] * rstd);
  }
}

template <class T>
[[gnu::always_inline]] inline void backward_input_body(const Rows<T>& a, int64_t begin, int64_t end) {
  const int64_t columns = a.columns;
  const T* weight = a.weight;
  for (int64_t i = begin; i < end; ++i) {
    const T* x = a.x + i * columns;
    const T* d_out = a.d_out + i * columns;
    T* d_x = a.out + i * columns;
    const T rstd = a.rstd[i];
    T product = 0;
#pragma omp simd reduction(+ : product)
    for (int64_t j = 0; j < columns; ++j) product += weight[j] * d_out[j] * x[j];
    const T factor = rstd * rstd * rstd * (product / static_cast<T>(columns));
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) d_x[j] = rstd * (weight[j] * d_out[j]) - x[j] * factor;
  }
}

template <class T>
[[gnu::always_inline]] inline void backward_weight_body(T* part, const Rows<T>& a, const Block& block) {
  const int64_t begin = block.column_begin, end = block.column_end;
  for (int64_t i = block.row_begin; i < block.row_end; ++i) {
    const T* x = a.x + i * a.columns;
    const T* d_out = a.d_out + i * a.columns;
    const T rstd = a.rstd[i];
#pragma omp simd
    for (int64_t j = begin; j < end; ++j) part[j - begin] += d_out[j] * (x[j] * rstd);
  }
}

TIMETRIAL_MULTIVERSION void forward(const Rows<float>& a, int64_t begin, int64_t end) { forward_body(a, begin, end); }
void forward(const Rows<double>& a, int64_t begin, int64_t end) { forward_body(a, begin, end); }

TIMETRIAL_MULTIVERSION void backward_input(const Rows<float>& a, int64_t begin, int64_t end) {
  backward_input_body(a, begin, end);
}
void backward_input(const Rows<double>& a, int64_t begin, int64_t end) { backward_input_body(a, begin, end); }

TIMETRIAL_MULTIVERSION void backward_weight(float* part, const Rows<float>& a, const Block& block) {
  backward_weight_body(part, a, block);
}
void backward_weight(double* part, const Rows<double>& a, const Block& block) { backward_weight_body(part, a, block); }

}  // namespace

template <class T>
void rms_norm_forward(const RmsNormForward& a) {
  Rows<T> rows{};
  rows.columns = a.x.dim(1);
  rows.out = a.out.data<T>();
  rows.rstd_out = a.rstd.data<T>();
  rows.x = a.x.data<T>();
  rows.weight = a.weight.data<T>();
  rows.epsilon = static_cast<T>(a.epsilon);
  parallel_ranges(a.x.dim(0), rows.columns, [&](int64_t begin, int64_t end) { forward(rows, begin, end); });
}

template <class T>
void rms_norm_backward_input(const RmsNormBackwardInput& a) {
  Rows<T> rows{};
  rows.columns = a.x.dim(1);
  rows.out = a.d_x.data<T>();
  rows.d_out = a.d_out.data<T>();
  rows.x = a.x.data<T>();
  rows.rstd = a.rstd.data<T>();
  rows.weight = a.weight.data<T>();
  parallel_ranges(a.x.dim(0), rows.columns, [&](int64_t begin, int64_t end) { backward_input(rows, begin, end); });
}

template <class T>
void rms_norm_backward_weight(const RmsNormBackwardWeight& a) {
  Rows<T> rows{};
  rows.columns = a.x.dim(1);
  rows.d_out = a.d_out.data<T>();
  rows.x = a.x.data<T>();
  rows.rstd = a.rstd.data<T>();
  add_column_sums(a.d_weight.data<T>(), a.x.dim(0), rows.columns,
                  [&](T* part, int64_t row_begin, int64_t row_end, int64_t begin, int64_t end) {
                    backward_weight(part, rows, {row_begin, row_end, begin, end});
                  });
}

template void rms_norm_forward<float>(const RmsNormForward&);
template void rms_norm_forward<double>(const RmsNormForward&);
template void rms_norm_backward_input<float>(const RmsNormBackwardInput&);
template void rms_norm_backward_input<double>(const RmsNormBackwardInput&);
template void rms_norm_backward_weight<float>(const RmsNormBackwardWeight&);
template void rms_norm_backward_weight<double>(const RmsNormBackwardWeight&);

}  // namespace timetrial::ops::cpu
