// Cross entropy rows: one pass for the maximum, one for the sum of exponentials; backward is one pass.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/cross_entropy.h"

#include <cmath>
#include <limits>

#include "ops/cpu/parallel.h"
#include "ops/cpu/vector_math.h"

namespace timetrial::ops::cpu {

namespace {

template <class T>
struct Rows {
  int64_t columns;
  const int32_t* labels;
  const T* logits;
  T *loss, *lse;
};

template <class T>
struct GradientRows {
  int64_t columns;
  const int32_t* labels;
  T* logits;
  const T* lse;
  T scale;
};

template <class T>
[[gnu::always_inline]] inline void forward_body(const Rows<T>& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const T* logits = a.logits + i * a.columns;
    T largest = -std::numeric_limits<T>::infinity();
#pragma omp simd reduction(max : largest)
    for (int64_t j = 0; j < a.columns; ++j) largest = largest < logits[j] ? logits[j] : largest;
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < a.columns; ++j) sum += fast_exp(logits[j] - largest);
    const T log_sum = std::log(sum);
    a.lse[i] = largest + log_sum;
    // Not lse - logit: the difference of the two large numbers first keeps small losses exact.
    a.loss[i] = (largest - logits[a.labels[i]]) + log_sum;
  }
}

template <class T>
[[gnu::always_inline]] inline void backward_body(const GradientRows<T>& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    T* logits = a.logits + i * a.columns;
    const T lse = a.lse[i], scale = a.scale;
#pragma omp simd
    for (int64_t j = 0; j < a.columns; ++j) logits[j] = fast_exp(logits[j] - lse) * scale;
    logits[a.labels[i]] -= scale;
  }
}

TIMETRIAL_MULTIVERSION void forward(const Rows<float>& a, int64_t begin, int64_t end) { forward_body(a, begin, end); }
void forward(const Rows<double>& a, int64_t begin, int64_t end) { forward_body(a, begin, end); }

TIMETRIAL_MULTIVERSION void backward(const GradientRows<float>& a, int64_t begin, int64_t end) {
  backward_body(a, begin, end);
}
void backward(const GradientRows<double>& a, int64_t begin, int64_t end) { backward_body(a, begin, end); }

void check_labels(const Tensor& labels, int64_t classes) {
  const int32_t* label = labels.data<int32_t>();
  for (int64_t i = 0; i < labels.elements(); ++i)
    TIMETRIAL_CHECK(0 <= label[i] && label[i] < classes, "cross entropy: label {} of row {} is not in [0, {})",
                    label[i], i, classes);
}

}  // namespace

template <class T>
void cross_entropy_forward(const CrossEntropyForward& a) {
  const Rows<T> rows{a.logits.dim(1), a.labels.data<int32_t>(), a.logits.data<T>(), a.loss.data<T>(), a.lse.data<T>()};
  check_labels(a.labels, rows.columns);
  parallel_ranges(a.logits.dim(0), rows.columns, [&](int64_t begin, int64_t end) { forward(rows, begin, end); });
}

template <class T>
void cross_entropy_backward(const CrossEntropyBackward& a) {
  const GradientRows<T> rows{a.logits.dim(1), a.labels.data<int32_t>(), a.logits.data<T>(), a.lse.data<T>(),
                             static_cast<T>(a.scale)};
  check_labels(a.labels, rows.columns);
  parallel_ranges(a.logits.dim(0), rows.columns, [&](int64_t begin, int64_t end) { backward(rows, begin, end); });
}

template void cross_entropy_forward<float>(const CrossEntropyForward&);
template void cross_entropy_forward<double>(const CrossEntropyForward&);
template void cross_entropy_backward<float>(const CrossEntropyBackward&);
template void cross_entropy_backward<double>(const CrossEntropyBackward&);

}  // namespace timetrial::ops::cpu
