// Sequence auxiliary loss (spec 3.4): pulls the share of scores of experts that a sequence prefers too often down.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

// With s' = score / (sum over all experts + 1e-20) and n_e = tokens of the sequence whose k highest scores hold e
// (no bias, no groups, ties to the lower id): loss = E / (k T^2) sum_e n_e sum_t s'_te. Coefficient not included.
struct SequenceBalanceForward {
  Tensor loss, counts;  // (B) as score; (B, E) int32: n
  Tensor score;         // (B*T, E) fp32 or f64, not negative
  int64_t choices;      // k, at most 64
};
void sequence_balance_forward(const SequenceBalanceForward& a, StreamRef stream);

// d_score = scale * d loss_b / d score for the token's own sequence; n has no gradient.
struct SequenceBalanceBackward {
  Tensor d_score;        // (B*T, E), overwritten
  Tensor score, counts;  // (B*T, E), (B, E) int32
  int64_t choices;
  double scale;
};
void sequence_balance_backward(const SequenceBalanceBackward& a, StreamRef stream);

}  // namespace timetrial::ops
