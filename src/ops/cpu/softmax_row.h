// What a row of logits is asked for by the whole cross entropy and by that of a shard; inlined into loops that are
// compiled for several processors. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>

#include "ops/cpu/vector_math.h"
#include "timetrial/tensor/tensor.h"

namespace timetrial::ops::cpu {

// A NaN loses every comparison here; it shows in sum_of_exponentials.
template <class T>
[[gnu::always_inline]] inline T largest_of(const T* logits, int64_t columns) {
  T largest = -std::numeric_limits<T>::infinity();
#pragma omp simd reduction(max : largest)
  for (int64_t j = 0; j < columns; ++j) largest = largest < logits[j] ? logits[j] : largest;
  return largest;
}

template <class T>
[[gnu::always_inline]] inline T sum_of_exponentials(const T* logits, int64_t columns, T largest) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < columns; ++j) sum += fast_exp(logits[j] - largest);
  return sum;
}

template <class T>
[[gnu::always_inline]] inline void to_scaled_softmax(T* logits, int64_t columns, T lse, T scale) {
#pragma omp simd
  for (int64_t j = 0; j < columns; ++j) logits[j] = fast_exp(logits[j] - lse) * scale;
}

// Throws Error for a label outside [0, classes).
inline void check_labels(const Tensor& labels, int64_t classes) {
  const int32_t* label = labels.data<int32_t>();
  for (int64_t i = 0; i < labels.elements(); ++i)
    TIMETRIAL_CHECK(0 <= label[i] && label[i] < classes, "cross entropy: label {} of row {} is not in [0, {})",
                    label[i], i, classes);
}

}  // namespace timetrial::ops::cpu
