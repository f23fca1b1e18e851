// Rotary position embedding in place: every row turns its heads' pairs (x_i, x_{i+d/2}) by the row's angles.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/rope.h"

#include "ops/cpu/parallel.h"

namespace timetrial::ops::cpu {

template <class T>
void rope(const Rope& a, T direction) {
  const int64_t rows = a.x.dim(0), width = a.x.dim(1), length = a.cos.dim(0), half = a.cos.dim(1), heads = a.heads;
  T* x = a.x.data<T>();
  const T* cosines = a.cos.data<T>();
  const T* sines = a.sin.data<T>();
  parallel_ranges(rows, heads * 2 * half, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* __restrict cosine = cosines + row % length * half;
      const T* __restrict sine = sines + row % length * half;
      for (int64_t head = 0; head < heads; ++head) {
        T* __restrict low = x + row * width + head * 2 * half;
        T* __restrict high = low + half;
#pragma omp simd
        for (int64_t i = 0; i < half; ++i) {
          const T c = cosine[i], s = direction * sine[i], first = low[i], second = high[i];
          low[i] = first * c - second * s;
          high[i] = second * c + first * s;
        }
      }
    }
  });
}

template void rope<float>(const Rope&, float);
template void rope<double>(const Rope&, double);

}  // namespace timetrial::ops::cpu
