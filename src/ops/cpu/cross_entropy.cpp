// Cross entropy rows: one pass for the maximum, one for the sum of exponentials; backward is one pass.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/cross_entropy.h"

#include <cmath>

#include "ops/cpu/parallel.h"
#include "ops/cpu/softmax_row.h"

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
    const T largest = largest_of(logits, a.columns);
    const T log_sum = std::log(sum_of_exponentials(logits, a.columns, largest));
    a.lse[i] = largest + log_sum;
    // Not lse - logit: the difference of the two large numbers first keeps small losses exact.
    a.loss[i] = (largest - logits[a.labels[i]]) + log_sum;
  }
}

template <class T>
[[gnu::always_inline]] inline void backward_body(const GradientRows<T>& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    T* logits = a.logits + i * a.columns;
    to_scaled_softmax(logits, a.columns, a.lse[i], a.scale);
    logits[a.labels[i]] -= a.scale;
  }
}

TIMETRIAL_MULTIVERSION void forward(const Rows<float>& a, int64_t begin, int64_t end) { forward_body(a, begin, end); }
void forward(const Rows<double>& a, int64_t begin, int64_t end) { forward_body(a, begin, end); }

TIMETRIAL_MULTIVERSION void backward(const GradientRows<float>& a, int64_t begin, int64_t end) {
  backward_body(a, begin, end);
}
void backward(const GradientRows<double>& a, int64_t begin, int64_t end) { backward_body(a, begin, end); }

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
