// Token by token: scores, the best groups, the best experts in them, gates; and the gradient of all that.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/sigmoid_router.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "ops/cpu/best.h"
#include "ops/cpu/parallel.h"

namespace timetrial::ops::cpu {

namespace {

constexpr double kFloor = 1e-20;  // of the sum of chosen scores (spec 3.3)

template <class T>
using Few = std::array<T, kMostChoices>;

struct Selection {
  int64_t experts, groups, kept_groups, choices;
  int64_t group_size() const { return experts / groups; }
};

// One token: ids of the chosen experts in descending order of score + bias.
template <class T>
void select(const T* score, const T* bias, const Selection& s, int32_t* chosen) {
  const auto at = [&](int64_t e) { return score[e] + bias[e]; };
  const int64_t of_group = s.choices / s.kept_groups;
  Few<T> value, group_value;
  Few<int32_t> id, group_id;
  Best<T> groups(group_value.data(), group_id.data(), s.kept_groups);
  for (int64_t g = 0; g < s.groups; ++g) {
    Best<T> best(value.data(), id.data(), of_group);
    for (int64_t e = g * s.group_size(); e < (g + 1) * s.group_size(); ++e) best.offer(at(e), static_cast<int32_t>(e));
    T sum = 0;
    for (int64_t i = 0; i < of_group; ++i) sum += value[static_cast<size_t>(i)];
    groups.offer(sum, static_cast<int32_t>(g));
  }
  std::sort(group_id.begin(), group_id.begin() + s.kept_groups);  // ties between experts go to the lower id
  Best<T> best(value.data(), chosen, s.choices);
  for (int64_t k = 0; k < s.kept_groups; ++k) {
    const int64_t first = group_id[static_cast<size_t>(k)] * s.group_size();
    for (int64_t e = first; e < first + s.group_size(); ++e) best.offer(at(e), static_cast<int32_t>(e));
  }
}

}  // namespace

template <class T>
void sigmoid_route_forward(const SigmoidRouteForward& a) {
  const int64_t tokens = a.logits.dim(0), experts = a.logits.dim(1), choices = a.gate.dim(1);
  const Selection selection{experts, a.groups, a.kept_groups, choices};
  const T *logits = a.logits.data<T>(), *bias = a.bias.data<T>();
  T *scores = a.score.data<T>(), *gates = a.gate.data<T>();
  int32_t* chosen = a.expert.data<int32_t>();
  parallel_ranges(tokens, experts * 8, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      T* score = scores + t * experts;
      for (int64_t e = 0; e < experts; ++e) score[e] = 1 / (1 + std::exp(-logits[t * experts + e]));
      int32_t* ids = chosen + t * choices;
      select(score, bias, selection, ids);
      T sum = 0;
      for (int64_t k = 0; k < choices; ++k) sum += score[ids[k]];
      const T factor = static_cast<T>(a.scaling) / (sum + static_cast<T>(kFloor));
      for (int64_t k = 0; k < choices; ++k) gates[t * choices + k] = factor * score[ids[k]];
    }
  });
}

template <class T>
void sigmoid_route_backward(const SigmoidRouteBackward& a) {
  const int64_t tokens = a.d_logits.dim(0), experts = a.d_logits.dim(1), choices = a.d_gate.dim(1);
  const int32_t* chosen = a.expert.data<int32_t>();
  for (int64_t i = 0; i < tokens * choices; ++i)
    TIMETRIAL_CHECK(chosen[i] >= 0 && chosen[i] < experts, "sigmoid_route_backward: expert {} at {} is not in [0, {})",
                    chosen[i], i, experts);
  const T *d_gates = a.d_gate.data<T>(), *scores = a.score.data<T>();
  const T* others = a.d_score ? a.d_score.data<T>() : nullptr;
  T* d_logits = a.d_logits.data<T>();
  parallel_ranges(tokens, experts * 2, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const T *score = scores + t * experts, *d_gate = d_gates + t * choices;
      const int32_t* ids = chosen + t * choices;
      T* d = d_logits + t * experts;
      for (int64_t e = 0; e < experts; ++e) d[e] = others ? others[t * experts + e] : T{0};
      T sum = static_cast<T>(kFloor), mean = 0;
      for (int64_t k = 0; k < choices; ++k) sum += score[ids[k]];
      for (int64_t k = 0; k < choices; ++k) mean += d_gate[k] * (score[ids[k]] / sum);
      const T factor = static_cast<T>(a.scaling) / sum;
      for (int64_t k = 0; k < choices; ++k) d[ids[k]] += factor * (d_gate[k] - mean);
      for (int64_t e = 0; e < experts; ++e) d[e] *= score[e] * (1 - score[e]);
    }
  });
}

template void sigmoid_route_forward<float>(const SigmoidRouteForward&);
template void sigmoid_route_forward<double>(const SigmoidRouteForward&);
template void sigmoid_route_backward<float>(const SigmoidRouteBackward&);
template void sigmoid_route_backward<double>(const SigmoidRouteBackward&);

}  // namespace timetrial::ops::cpu
