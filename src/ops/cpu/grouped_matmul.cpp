// Grouped products on the CPU, cut evenly whatever the router does: rows, or columns where rows are summed over.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/grouped_matmul.h"

#include <algorithm>
#include <atomic>

#include "ops/cpu/parallel.h"
#include "ops/cpu/sgemm.h"
#include "ops/cpu/vector_math.h"

namespace timetrial::ops::cpu {

namespace {

struct Range {
  int64_t begin, end;
};

// The groups, and where their rows lie.
struct Groups {
  const int32_t* begin;
  int64_t count;

  explicit Groups(const Tensor& expert_begin, int64_t rows)
      : begin(expert_begin.data<int32_t>()), count(expert_begin.dim(0) - 1) {
    TIMETRIAL_CHECK(begin[0] >= 0 && begin[count] <= rows, "groups use rows [{}, {}) of {}", begin[0], begin[count],
                    rows);
    for (int64_t e = 0; e < count; ++e)
      TIMETRIAL_CHECK(begin[e] <= begin[e + 1], "expert {} owns rows [{}, {})", e, begin[e], begin[e + 1]);
  }
  // Rows of expert e inside `range`, which counts from the first row in use.
  Range rows(int64_t e, Range range) const {
    return {std::max<int64_t>(begin[e], begin[0] + range.begin), std::min<int64_t>(begin[e + 1], begin[0] + range.end)};
  }
  int64_t used() const { return begin[count] - begin[0]; }
};

TIMETRIAL_MULTIVERSION void add_scaled(float* __restrict out, const float* __restrict in, float scale, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) out[i] += scale * in[i];
}
void add_scaled(double* out, const double* in, double scale, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] += scale * in[i];
}

TIMETRIAL_MULTIVERSION float dot(const float* __restrict a, const float* __restrict b, int64_t count) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}
double dot(const double* a, const double* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

// c (rows, n) += a (rows, k) times one expert's weight.
struct ExpertSizes {
  int64_t rows, n, k;
  bool transpose_b;
};
bool add_product(float* c, const float* a, const float* b, const ExpertSizes& s) {
  return sgemm({.c = c,
                .c_stride = s.n,
                .a = {a, s.k},
                .b = {b, s.transpose_b ? s.k : s.n, s.transpose_b},
                .m = s.rows,
                .n = s.n,
                .k = s.k,
                .beta = 1});
}
bool add_product(double* c, const double* a, const double* b, const ExpertSizes& s) {
  for (int64_t r = 0; r < s.rows; ++r)
    for (int64_t j = 0; j < s.n; ++j)
      for (int64_t i = 0; i < s.k; ++i)
        c[r * s.n + j] += a[r * s.k + i] * (s.transpose_b ? b[j * s.k + i] : b[i * s.n + j]);
  return true;
}

// Rows `columns` of d_weight (n, k) += d_c^T a.
struct WeightSizes {
  int64_t rows, n, k;
  Range columns;  // of d_c, the rows of d_weight
};
bool add_outer(float* d_weight, const float* d_c, const float* a, const WeightSizes& s) {
  return sgemm({.c = d_weight + s.columns.begin * s.k,
                .c_stride = s.k,
                .a = {d_c + s.columns.begin, s.n, true},
                .b = {a, s.k},
                .m = s.columns.end - s.columns.begin,
                .n = s.k,
                .k = s.rows,
                .beta = 1});
}
bool add_outer(double* d_weight, const double* d_c, const double* a, const WeightSizes& s) {
  for (int64_t r = 0; r < s.rows; ++r)
    for (int64_t j = s.columns.begin; j < s.columns.end; ++j)
      for (int64_t i = 0; i < s.k; ++i) d_weight[j * s.k + i] += d_c[r * s.n + j] * a[r * s.k + i];
  return true;
}

}  // namespace

template <class T>
void grouped_matmul(const GroupedMatmul& a) {
  const int64_t n = a.c.dim(1), k = a.a.dim(1);
  const Groups groups(a.expert_begin, a.c.dim(0));
  T* c = a.c.data<T>();
  const T *left = a.a.data<T>(), *weights = a.b.data<T>();
  const T* bias = a.bias ? a.bias.data<T>() : nullptr;
  const T* scale = a.bias_scale ? a.bias_scale.data<T>() : nullptr;
  std::atomic<bool> refused = false;
  parallel_ranges(groups.used(), n * k, [&](int64_t begin, int64_t end) {
    for (int64_t e = 0; e < groups.count; ++e) {
      const Range rows = groups.rows(e, {begin, end});
      if (rows.begin >= rows.end) continue;
      std::fill(c + rows.begin * n, c + rows.end * n, T{0});
      if (bias)
        for (int64_t r = rows.begin; r < rows.end; ++r) add_scaled(c + r * n, bias + e * n, scale ? scale[r] : T{1}, n);
      const ExpertSizes sizes = {rows.end - rows.begin, n, k, a.transpose_b};
      if (!add_product(c + rows.begin * n, left + rows.begin * k, weights + e * n * k, sizes)) refused = true;
    }
  });
  TIMETRIAL_CHECK(!refused, "the matrix library refused a grouped product of {} by {}", a.a.shape(), a.b.shape());
}

template <class T>
void grouped_matmul_backward_weight(const GroupedMatmulBackwardWeight& a) {
  const int64_t n = a.d_c.dim(1), k = a.a.dim(1);
  const Groups groups(a.expert_begin, a.a.dim(0));
  T* d_weight = a.d_weight.data<T>();
  const T *d_c = a.d_c.data<T>(), *left = a.a.data<T>();
  // The unit of work is one column of one expert's d_c for one row; a position counts units in expert order. Cuts fall
  // on whole tiles of columns, the same for the range before and after.
  const auto column_of = [&](int64_t position, int64_t e) {
    constexpr int64_t kTile = 16;
    const int64_t before = (groups.begin[e] - groups.begin[0]) * n, rows = groups.begin[e + 1] - groups.begin[e];
    if (position <= before) return int64_t{0};
    return position >= before + rows * n ? n : (position - before) / rows / kTile * kTile;
  };
  std::atomic<bool> refused = false;
  parallel_ranges(groups.used() * n, k, [&](int64_t begin, int64_t end) {
    for (int64_t e = 0; e < groups.count; ++e) {
      const int64_t first = groups.begin[e], rows = groups.begin[e + 1] - first;
      if (rows == 0) continue;
      const Range columns = {column_of(begin, e), column_of(end, e)};
      if (columns.begin >= columns.end) continue;
      if (!add_outer(d_weight + e * n * k, d_c + first * n, left + first * k, {rows, n, k, columns})) refused = true;
    }
  });
  TIMETRIAL_CHECK(!refused, "the matrix library refused a grouped product of {} by {}", a.d_c.shape(), a.a.shape());
}

template <class T>
void grouped_bias_backward(const GroupedBiasBackward& a) {
  constexpr int64_t kColumns = 256, kRows = 64;  // rows are summed in chunks: the error grows with their number's root
  const int64_t n = a.d_c.dim(1);
  const Groups groups(a.expert_begin, a.d_c.dim(0));
  T* d_bias = a.d_bias.data<T>();
  const T *d_c = a.d_c.data<T>(), *scale = a.bias_scale ? a.bias_scale.data<T>() : nullptr;
  const auto add_rows = [&](T* out, Range rows, Range columns) {
    T part[kColumns] = {};
    for (int64_t r = rows.begin; r < rows.end; ++r)
      add_scaled(part, d_c + r * n + columns.begin, scale ? scale[r] : T{1}, columns.end - columns.begin);
    add_scaled(out + columns.begin, part, T{1}, columns.end - columns.begin);
  };
  parallel_columns(n, groups.used(), [&](int64_t begin, int64_t end) {
    for (int64_t e = 0; e < groups.count; ++e)
      for (int64_t column = begin; column < end; column += kColumns)
        for (int64_t row = groups.begin[e]; row < groups.begin[e + 1]; row += kRows)
          add_rows(d_bias + e * n, {row, std::min<int64_t>(row + kRows, groups.begin[e + 1])},
                   {column, std::min(column + kColumns, end)});
  });
}

template <class T>
void grouped_bias_scale_backward(const GroupedBiasScaleBackward& a) {
  const int64_t n = a.d_c.dim(1);
  const Groups groups(a.expert_begin, a.d_c.dim(0));
  T* d_scale = a.d_scale.data<T>();
  const T *d_c = a.d_c.data<T>(), *bias = a.bias.data<T>();
  parallel_ranges(groups.used(), n, [&](int64_t begin, int64_t end) {
    for (int64_t e = 0; e < groups.count; ++e) {
      const Range rows = groups.rows(e, {begin, end});
      for (int64_t r = rows.begin; r < rows.end; ++r) d_scale[r] += dot(d_c + r * n, bias + e * n, n);
    }
  });
}

template void grouped_matmul<float>(const GroupedMatmul&);
template void grouped_matmul<double>(const GroupedMatmul&);
template void grouped_matmul_backward_weight<float>(const GroupedMatmulBackwardWeight&);
template void grouped_matmul_backward_weight<double>(const GroupedMatmulBackwardWeight&);
template void grouped_bias_backward<float>(const GroupedBiasBackward&);
template void grouped_bias_backward<double>(const GroupedBiasBackward&);
template void grouped_bias_scale_backward<float>(const GroupedBiasScaleBackward&);
template void grouped_bias_scale_backward<double>(const GroupedBiasScaleBackward&);

}  // namespace timetrial::ops::cpu
