// Rotary position embedding, half-rotation layout (spec 2.1): pairs (x_i, x_{i+d/2}) turn by position * frequency_i.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

// What makes the angle table. Plain: factor 1.
struct RopeFrequencies {
  int64_t head_dim;
  double base;
  double factor = 1, original_length = 0, beta_fast = 32, beta_slow = 1;
  // YaRN's bounds are whole pairs, rounded outwards and clamped to [0, head_dim - 1] (spec 2.5); else as they are
  // (2.4).
  bool round_bounds = false;
  // The share of YaRN's magnitude 0.1 m ln(factor) + 1 that acts on the scores through the softmax scale instead of
  // through cos and sin (spec 2.5: m = 1; 2.4: 0).
  double mscale_all_dim = 0;
};
// head_dim/2 angular frequencies per position, in double.
std::vector<double> rope_frequencies(const RopeFrequencies& spec);
// Factor on cos and sin: (0.1 ln(factor) + 1) / (0.1 mscale_all_dim ln(factor) + 1), which is 1 for plain rotary.
double rope_amplitude(const RopeFrequencies& spec);
// Factor on the softmax scale: (0.1 mscale_all_dim ln(factor) + 1)^2.
double rope_score_factor(const RopeFrequencies& spec);

// Fills cos and sin, (T, d/2) each, fp32 or f64, on the host side of the stream's device. Called once, at start-up.
struct RopeTable {
  Tensor cos, sin;  // (T, d/2)
};
void fill_rope_table(const RopeTable& table, const RopeFrequencies& spec, StreamRef stream);

// Turns the first `heads` heads of every row in place; row n is position n mod T. Backward is the turn by the opposite
// angle.
struct Rope {
  Tensor x;         // (B*T, W), W >= heads * d; channels beyond are left alone
  Tensor cos, sin;  // (T, d/2)
  int64_t heads;
};
void rope_forward(const Rope& a, StreamRef stream);
void rope_backward(const Rope& a, StreamRef stream);

}  // namespace timetrial::ops
