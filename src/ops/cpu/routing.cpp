// Expert routing on the CPU: top-k by insertion into the output row, a counting sort for the row order, row copies.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/routing.h"

#include <algorithm>
#include <cmath>

#include "ops/cpu/parallel.h"

namespace timetrial::ops::cpu {

namespace {

template <class T>
bool ranks_above(T a, T b) {
  return a > b || (std::isnan(a) && !std::isnan(b));
}

// One row. `value` and `id` hold the best so far in descending order; a later equal logit never overtakes.
template <class T>
void choose(const T* logits, int64_t experts, T* value, int32_t* id, int64_t choices) {
  for (int64_t e = 0; e < experts; ++e) {
    int64_t place = std::min(e, choices);
    if (place == choices && !ranks_above(logits[e], value[choices - 1])) continue;
    if (place == choices) --place;
    for (; place > 0 && ranks_above(logits[e], value[place - 1]); --place) {
      value[place] = value[place - 1];
      id[place] = id[place - 1];
    }
    value[place] = logits[e];
    id[place] = static_cast<int32_t>(e);
  }
}

// `value` is in descending order, so its first entry is the maximum.
template <class T>
void softmax_in_place(T* value, int64_t count) {
  const T most = value[0];
  T sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += value[i] = std::exp(value[i] - most);
  for (int64_t i = 0; i < count; ++i) value[i] /= sum;
}

// Checked before any thread starts: an exception cannot leave a parallel region.
void check_indices(const char* op, const Tensor& indices, int64_t limit) {
  const int32_t* index = indices.data<int32_t>();
  const int64_t count = indices.elements();
  bool valid = true;
  for (int64_t i = 0; i < count; ++i) valid &= index[i] >= 0 && index[i] < limit;
  if (valid) return;
  for (int64_t i = 0; i < count; ++i)
    TIMETRIAL_CHECK(index[i] >= 0 && index[i] < limit, "{}: index {} at {} is not in [0, {})", op, index[i], i, limit);
}

}  // namespace

template <class T>
void route_forward(const RouteForward& a) {
  const int64_t tokens = a.logits.dim(0), experts = a.logits.dim(1), choices = a.gate.dim(1);
  const T* logits = a.logits.data<T>();
  T* gate = a.gate.data<T>();
  int32_t* expert = a.expert.data<int32_t>();
  parallel_ranges(tokens, experts, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      choose(logits + t * experts, experts, gate + t * choices, expert + t * choices, choices);
      softmax_in_place(gate + t * choices, choices);
    }
  });
}

template <class T>
void route_backward(const RouteBackward& a) {
  const int64_t tokens = a.d_logits.dim(0), experts = a.d_logits.dim(1), choices = a.gate.dim(1);
  check_indices("route_backward", a.expert, experts);
  T* d_logits = a.d_logits.data<T>();
  const T *d_gate = a.d_gate.data<T>(), *gate = a.gate.data<T>();
  const int32_t* expert = a.expert.data<int32_t>();
  parallel_ranges(tokens, experts, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      T* row = d_logits + t * experts;
      std::fill_n(row, experts, T{0});
      T mean = 0;
      for (int64_t c = t * choices; c < (t + 1) * choices; ++c) mean += d_gate[c] * gate[c];
      for (int64_t c = t * choices; c < (t + 1) * choices; ++c) row[expert[c]] = gate[c] * (d_gate[c] - mean);
    }
  });
}

void group_by_expert(const GroupByExpert& a) {
  const int64_t experts = a.expert_begin.dim(0) - 1, pairs = a.expert.elements();
  check_indices("group_by_expert", a.expert, experts);
  const int32_t* expert = a.expert.data<int32_t>();
  int32_t *begin = a.expert_begin.data<int32_t>(), *source = a.source.data<int32_t>(),
          *row_of = a.row_of.data<int32_t>();

  std::fill_n(begin, experts + 1, 0);
  for (int64_t p = 0; p < pairs; ++p) ++begin[expert[p] + 1];
  for (int64_t e = 0; e < experts; ++e) begin[e + 1] += begin[e];
  // begin[e] serves as the cursor of expert e, which leaves it at the begin of e + 1.
  for (int64_t p = 0; p < pairs; ++p) {
    const int32_t row = begin[expert[p]]++;
    source[row] = static_cast<int32_t>(p);
    row_of[p] = row;
  }
  std::copy_backward(begin, begin + experts, begin + experts + 1);
  begin[0] = 0;
}

template <class T>
void gather_rows(const GatherRows& a) {
  const int64_t rows = a.rows.dim(0), width = a.rows.dim(1);
  check_indices("gather_rows", a.source, a.x.dim(0) * a.choices);
  T* out = a.rows.data<T>();
  const T* x = a.x.data<T>();
  const int32_t* source = a.source.data<int32_t>();
  parallel_ranges(rows, width, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) std::copy_n(x + source[r] / a.choices * width, width, out + r * width);
  });
  if (!a.gate) return;
  T* gate_rows = a.gate_rows.data<T>();
  const T* gate = a.gate.data<T>();
  for (int64_t r = 0; r < rows; ++r) gate_rows[r] = gate[source[r]];
}

template <class T>
void combine_rows(const CombineRows& a) {
  const int64_t tokens = a.y.dim(0), width = a.y.dim(1), choices = a.row_of.dim(1);
  check_indices("combine_rows", a.row_of, a.rows.dim(0));
  T* y = a.y.data<T>();
  const T* rows = a.rows.data<T>();
  const int32_t* row_of = a.row_of.data<int32_t>();
  parallel_ranges(tokens, width * choices, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      T* __restrict out = y + t * width;
      const int32_t* row = row_of + t * choices;
      if (!a.accumulate) std::copy_n(rows + row[0] * width, width, out);
      for (int64_t c = a.accumulate ? 0 : 1; c < choices; ++c) {
        const T* __restrict in = rows + row[c] * width;
#pragma omp simd
        for (int64_t i = 0; i < width; ++i) out[i] += in[i];
      }
    }
  });
}

template <class T>
void ungroup_scalars(const UngroupScalars& a) {
  check_indices("ungroup_scalars", a.row_of, a.values.elements());
  T* out = a.out.data<T>();
  const T* values = a.values.data<T>();
  const int32_t* row_of = a.row_of.data<int32_t>();
  for (int64_t p = 0; p < a.out.elements(); ++p) out[p] = values[row_of[p]];
}

template void route_forward<float>(const RouteForward&);
template void route_forward<double>(const RouteForward&);
template void route_backward<float>(const RouteBackward&);
template void route_backward<double>(const RouteBackward&);
template void gather_rows<float>(const GatherRows&);
template void gather_rows<double>(const GatherRows&);
template void combine_rows<float>(const CombineRows&);
template void combine_rows<double>(const CombineRows&);
template void ungroup_scalars<float>(const UngroupScalars&);
template void ungroup_scalars<double>(const UngroupScalars&);

}  // namespace timetrial::ops::cpu
