// Sigmoid router with expert groups and a selection bias (spec 3.3): the bias chooses, the plain scores weigh.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

// score = sigma(logits). Of E / groups consecutive experts each, the kept_groups best groups by the sum of their k /
// kept_groups highest score + bias stay; of their experts the k highest score + bias are chosen, in descending order.
// Ties go to the lower id. gate = scaling * score / (sum over the chosen scores + 1e-20), without bias.
struct SigmoidRouteForward {
  Tensor expert, gate, score;  // (N, k) int32; (N, k), (N, E) fp32, or f64 when the logits are
  Tensor logits, bias;         // (N, E); (E) as score
  int64_t groups, kept_groups;
  double scaling;
};
// Throws Error for groups that do not divide E, k no multiple of kept_groups or more than the kept groups hold, and for
// more than 64 choices or groups.
void sigmoid_route_forward(const SigmoidRouteForward& a, StreamRef stream);

// With p = score / S over the chosen and g = d_gate: d_score = scaling / S * (g - sum g p), 0 for the others, plus
// `d_score`; d_logits = that * score (1 - score). The bias has no gradient.
struct SigmoidRouteBackward {
  Tensor d_logits;               // (N, E), overwritten
  Tensor d_gate, expert, score;  // (N, k), (N, k) int32, (N, E)
  double scaling;
  Tensor d_score = {};  // (N, E) optional: what else reaches every score, of the auxiliary loss
};
void sigmoid_route_backward(const SigmoidRouteBackward& a, StreamRef stream);

}  // namespace timetrial::ops
