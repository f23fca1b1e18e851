// One pass over a sequence counts the plain choices, a second weighs the scores with them.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/sequence_balance.h"

#include <algorithm>
#include <array>

#include "ops/cpu/best.h"
#include "ops/cpu/parallel.h"

namespace timetrial::ops::cpu {

namespace {

constexpr double kFloor = 1e-20;  // of the sum of a token's scores (spec 3.4)

// loss = weight(n) . shares: E / (k T^2).
double weight_of(int64_t experts, int64_t choices, int64_t length) {
  return static_cast<double>(experts) /
         (static_cast<double>(choices) * static_cast<double>(length) * static_cast<double>(length));
}

template <class T>
struct Token {
  T sum, weighted;  // of the scores; of the scores times their experts' counts
};
template <class T>
Token<T> weigh(const T* score, const int32_t* counts, int64_t experts) {
  Token<T> token{static_cast<T>(kFloor), 0};
  for (int64_t e = 0; e < experts; ++e) {
    token.sum += score[e];
    token.weighted += static_cast<T>(counts[e]) * score[e];
  }
  return token;
}

}  // namespace

template <class T>
void sequence_balance_forward(const SequenceBalanceForward& a) {
  const int64_t sequences = a.loss.dim(0), experts = a.score.dim(1), length = a.score.dim(0) / sequences;
  const double weight = weight_of(experts, a.choices, length);
  const T* scores = a.score.data<T>();
  T* loss = a.loss.data<T>();
  int32_t* all_counts = a.counts.data<int32_t>();
  parallel_ranges(sequences, length * experts, [&](int64_t begin, int64_t end) {
    std::array<T, kMostChoices> value;
    std::array<int32_t, kMostChoices> id;
    for (int64_t b = begin; b < end; ++b) {
      const T* sequence = scores + b * length * experts;
      int32_t* counts = all_counts + b * experts;
      std::fill_n(counts, experts, 0);
      for (int64_t t = 0; t < length; ++t) {
        Best<T> best(value.data(), id.data(), a.choices);
        for (int64_t e = 0; e < experts; ++e) best.offer(sequence[t * experts + e], static_cast<int32_t>(e));
        for (int64_t k = 0; k < a.choices; ++k) ++counts[id[static_cast<size_t>(k)]];
      }
      double sum = 0;
      for (int64_t t = 0; t < length; ++t) {
        const Token<T> token = weigh(sequence + t * experts, counts, experts);
        sum += static_cast<double>(token.weighted / token.sum);
      }
      loss[b] = static_cast<T>(weight * sum);
    }
  });
}

template <class T>
void sequence_balance_backward(const SequenceBalanceBackward& a) {
  const int64_t rows = a.score.dim(0), experts = a.score.dim(1), length = rows / a.counts.dim(0);
  const T factor = static_cast<T>(a.scale * weight_of(experts, a.choices, length));
  const T* scores = a.score.data<T>();
  const int32_t* all_counts = a.counts.data<int32_t>();
  T* d_scores = a.d_score.data<T>();
  parallel_ranges(rows, experts * 2, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int32_t* counts = all_counts + row / length * experts;
      const Token<T> token = weigh(scores + row * experts, counts, experts);
      const T mean = token.weighted / token.sum, per_score = factor / token.sum;
      for (int64_t e = 0; e < experts; ++e)
        d_scores[row * experts + e] = per_score * (static_cast<T>(counts[e]) - mean);
    }
  });
}

template void sequence_balance_forward<float>(const SequenceBalanceForward&);
template void sequence_balance_forward<double>(const SequenceBalanceForward&);
template void sequence_balance_backward<float>(const SequenceBalanceBackward&);
template void sequence_balance_backward<double>(const SequenceBalanceBackward&);

}  // namespace timetrial::ops::cpu
