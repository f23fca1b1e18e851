// Additions and sums. Addition is bound by memory and stays plain.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/elementwise.h"

#include "ops/cpu/parallel.h"
#include "ops/cpu/vector_math.h"

namespace timetrial::ops::cpu {

namespace {

template <class T>
[[gnu::always_inline]] inline double sum_body(const T* x, int64_t begin, int64_t end) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = begin; i < end; ++i) sum += static_cast<double>(x[i]);
  return sum;
}

TIMETRIAL_MULTIVERSION double sum_of(const float* x, int64_t begin, int64_t end) { return sum_body(x, begin, end); }
double sum_of(const double* x, int64_t begin, int64_t end) { return sum_body(x, begin, end); }

}  // namespace

template <class T>
void add(const Add& a) {
  T* out = a.out.data<T>();
  const T *left = a.a.data<T>(), *right = a.b.data<T>();
  parallel_ranges(a.out.elements(), 1, [&](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) out[i] = left[i] + right[i];
  });
}

template <class T>
void accumulate_sum(const AccumulateSum& a) {
  const T* x = a.x.data<T>();
  const double total =
      chunked_sum(0, a.x.elements(), [&](int64_t begin, int64_t end) { return sum_of(x, begin, end); });
  T* out = a.out.data<T>();
  out[0] = static_cast<T>(static_cast<double>(out[0]) + a.scale * total);
}

template void add<float>(const Add&);
template void add<double>(const Add&);
template void accumulate_sum<float>(const AccumulateSum&);
template void accumulate_sum<double>(const AccumulateSum&);

}  // namespace timetrial::ops::cpu
