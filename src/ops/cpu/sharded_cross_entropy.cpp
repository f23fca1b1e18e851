// Cross entropy over shards: a row's statistics, the loss from those of all shards, a shard's gradient.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/sharded_cross_entropy.h"

#include <cmath>
#include <limits>

#include "ops/cpu/parallel.h"
#include "ops/cpu/softmax_row.h"

namespace timetrial::ops::cpu {

namespace {

template <class T>
struct Rows {
  int64_t columns, first_class;
  const int32_t* labels;
  const T* logits;
  T *largest, *sum, *target;
};

template <class T>
struct GradientRows {
  int64_t columns, first_class;
  const int32_t* labels;
  T* logits;
  const T* lse;
  T scale;
};

template <class T>
[[gnu::always_inline]] inline void forward_body(const Rows<T>& a, int64_t begin, int64_t end) {
  constexpr T kNone = -std::numeric_limits<T>::infinity();
  for (int64_t i = begin; i < end; ++i) {
    const T* logits = a.logits + i * a.columns;
    const T largest = largest_of(logits, a.columns);
    a.largest[i] = largest;
    // A shard whose logits are all -inf adds nothing to the softmax of the others; -inf - -inf would make it NaN.
    a.sum[i] = sum_of_exponentials(logits, a.columns, largest == kNone ? T{0} : largest);
    const int64_t label = a.labels[i] - a.first_class;
    a.target[i] = 0 <= label && label < a.columns ? logits[label] : kNone;
  }
}

template <class T>
[[gnu::always_inline]] inline void backward_body(const GradientRows<T>& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    T* logits = a.logits + i * a.columns;
    to_scaled_softmax(logits, a.columns, a.lse[i], a.scale);
    const int64_t label = a.labels[i] - a.first_class;
    if (0 <= label && label < a.columns) logits[label] -= a.scale;
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
void cross_entropy_shard_forward(const CrossEntropyShardForward& a) {
  check_labels(a.labels, a.shard.all);
  const int64_t count = a.logits.dim(0);
  T* statistics = a.statistics.data<T>();
  const Rows<T> rows{.columns = a.logits.dim(1),
                     .first_class = a.shard.first,
                     .labels = a.labels.data<int32_t>(),
                     .logits = a.logits.data<T>(),
                     .largest = statistics,
                     .sum = statistics + count,
                     .target = statistics + 2 * count};
  parallel_ranges(count, rows.columns, [&](int64_t begin, int64_t end) { forward(rows, begin, end); });
}

template <class T>
void cross_entropy_combine(const CrossEntropyCombine& a) {
  const int64_t shards = a.statistics.dim(0), count = a.statistics.dim(2);
  const T* statistics = a.statistics.data<T>();
  T *loss = a.loss.data<T>(), *lse = a.lse.data<T>();
  parallel_ranges(count, shards, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      constexpr T kNone = -std::numeric_limits<T>::infinity();
      const auto at = [&](int64_t shard, int64_t which) { return statistics[(shard * 3 + which) * count + i]; };
      T largest = kNone, target = kNone;
      for (int64_t shard = 0; shard < shards; ++shard) {
        largest = std::max(largest, at(shard, 0));
        target = std::max(target, at(shard, 2));  // one shard has the label, the others say -inf
      }
      T sum = 0;
      for (int64_t shard = 0; shard < shards; ++shard) sum += at(shard, 1) * std::exp(at(shard, 0) - largest);
      const T log_sum = std::log(sum);
      lse[i] = largest + log_sum;
      // Not lse - logit: the difference of the two large numbers first keeps small losses exact.
      loss[i] = (largest - target) + log_sum;
    }
  });
}

template <class T>
void cross_entropy_shard_backward(const CrossEntropyShardBackward& a) {
  check_labels(a.labels, a.shard.all);
  const GradientRows<T> rows{.columns = a.logits.dim(1),
                             .first_class = a.shard.first,
                             .labels = a.labels.data<int32_t>(),
                             .logits = a.logits.data<T>(),
                             .lse = a.lse.data<T>(),
                             .scale = static_cast<T>(a.scale)};
  parallel_ranges(a.logits.dim(0), rows.columns, [&](int64_t begin, int64_t end) { backward(rows, begin, end); });
}

template void cross_entropy_shard_forward<float>(const CrossEntropyShardForward&);
template void cross_entropy_shard_forward<double>(const CrossEntropyShardForward&);
template void cross_entropy_combine<float>(const CrossEntropyCombine&);
template void cross_entropy_combine<double>(const CrossEntropyCombine&);
template void cross_entropy_shard_backward<float>(const CrossEntropyShardBackward&);
template void cross_entropy_shard_backward<double>(const CrossEntropyShardBackward&);

}  // namespace timetrial::ops::cpu
