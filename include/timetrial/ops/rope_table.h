// Angle tables from any list of frequencies, and Llama 3.1's frequencies (spec 2.2).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "timetrial/ops/rope.h"

namespace timetrial::ops {

// A frequency f turns original_length f / 2 pi times over the original context. Above high_frequency_factor turns it
// stays, below low_frequency_factor turns it is divided by factor, between them it is blended, linearly in the turns.
struct Llama31Frequencies {
  int64_t head_dim;
  double base, factor, original_length, low_frequency_factor, high_frequency_factor;
};
// head_dim/2 angular frequencies per position, in double. Throws UserError for numbers that define none.
std::vector<double> llama31_frequencies(const Llama31Frequencies& spec);

// cos and sin of position * frequency, both times amplitude, into (T, frequencies) each, fp32 or f64, on the host side
// of the stream's device. Called once, at start-up.
void fill_angle_table(const RopeTable& table, const std::vector<double>& frequencies, double amplitude,
                      StreamRef stream);

}  // namespace timetrial::ops
