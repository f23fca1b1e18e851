// Expert routing: top-k of the logits, softmax over those k (spec 3.2), and the row order that groups tokens by expert
// (3.1). SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

// Ties go to the lower expert id. Choices are in descending order of logit.
struct RouteForward {
  Tensor expert, gate;  // (N, k) int32, (N, k)
  Tensor logits;        // (N, E)
};
void route_forward(const RouteForward& a, StreamRef stream);

// d_logit = gate (d_gate - sum_j d_gate_j gate_j) for the chosen experts, 0 elsewhere; d_logits is overwritten.
struct RouteBackward {
  Tensor d_logits;              // (N, E)
  Tensor d_gate, gate, expert;  // (N, k), (N, k), (N, k) int32
};
void route_backward(const RouteBackward& a, StreamRef stream);

// Groups the N*k (token, choice) pairs by expert id ascending, token order kept inside an expert.
struct GroupByExpert {
  Tensor expert_begin;  // (E + 1) int32: expert e owns rows [begin[e], begin[e+1])
  Tensor source;        // (N*k) int32: pair token*k + choice that row r holds
  Tensor row_of;        // (N, k) int32: the inverse map
  Tensor expert;        // (N, k) int32
};
void group_by_expert(const GroupByExpert& a, StreamRef stream);

// rows[r] = x[source[r] / k]; with `gate`, also gate_rows[r] = gate.flat[source[r]].
struct GatherRows {
  Tensor rows, gate_rows;  // (R, C), (R) optional
  Tensor x, gate, source;  // (N, C), (N, k) optional, (R) int32
  int64_t choices;         // k
};
void gather_rows(const GatherRows& a, StreamRef stream);

// y[t] = sum over choices of rows[row_of[t, choice]], in the order of the choices; y is overwritten, or added to.
struct CombineRows {
  Tensor y;             // (N, C)
  Tensor rows, row_of;  // (R, C), (N, k) int32
  bool accumulate = false;
};
void combine_rows(const CombineRows& a, StreamRef stream);

// out.flat[p] = values[row_of.flat[p]]: per-row scalars back to (token, choice) order.
struct UngroupScalars {
  Tensor out;             // (N, k)
  Tensor values, row_of;  // (R), (N, k) int32
};
void ungroup_scalars(const UngroupScalars& a, StreamRef stream);

}  // namespace timetrial::ops
