// Rotary position embedding, half-rotation layout (spec 2.1): pairs (x_i, x_{i+d/2}) turn by position * frequency_i.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

// What makes the angle table; YaRN's bounds are not rounded (spec 2.4). Plain: factor 1.
struct RopeFrequencies {
  int64_t head_dim;
  double base;
  double factor = 1, original_length = 0, beta_fast = 32, beta_slow = 1;
};
// head_dim/2 angular frequencies per position, in double.
std::vector<double> rope_frequencies(const RopeFrequencies& spec);
// Factor on cos and sin: 0.1 ln(factor) + 1, which is 1 for plain rotary.
double rope_amplitude(const RopeFrequencies& spec);

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
