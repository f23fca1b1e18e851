// Angle tables, and the frequencies of Llama 3.1.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/rope_table.h"

#include <cmath>
#include <numbers>

#include "ops/checks.h"
#include "ops/dispatch.h"

namespace timetrial::ops {

std::vector<double> llama31_frequencies(const Llama31Frequencies& spec) {
  if (!(spec.factor >= 1 && spec.original_length > 0))
    throw UserError(fmt::format("Llama 3.1 rotary needs a factor of at least 1 and an original length, got {} and {}",
                                spec.factor, spec.original_length));
  if (!(spec.low_frequency_factor > 0 && spec.high_frequency_factor > spec.low_frequency_factor))
    throw UserError(
        fmt::format("Llama 3.1 rotary needs high_frequency_factor > low_frequency_factor > 0, got {} and {}",
                    spec.high_frequency_factor, spec.low_frequency_factor));
  std::vector<double> frequencies = rope_frequencies({.head_dim = spec.head_dim, .base = spec.base});
  for (double& frequency : frequencies) {
    const double turns = spec.original_length * frequency / (2 * std::numbers::pi);
    if (turns > spec.high_frequency_factor) continue;
    const double divided = frequency / spec.factor;
    const double kept_share =
        (turns - spec.low_frequency_factor) / (spec.high_frequency_factor - spec.low_frequency_factor);
    frequency = turns < spec.low_frequency_factor ? divided : (1 - kept_share) * divided + kept_share * frequency;
  }
  return frequencies;
}

void fill_angle_table(const RopeTable& table, const std::vector<double>& frequencies, double amplitude,
                      StreamRef stream) {
  check_devices("fill_angle_table", {table.cos, table.sin}, stream);
  const auto half = static_cast<int64_t>(frequencies.size());
  TIMETRIAL_CHECK(table.cos.shape() == table.sin.shape() && table.cos.shape().rank() == 2 && table.cos.dim(1) == half,
                  "fill_angle_table: cos {}, sin {}, expected rows of {}", table.cos.shape(), table.sin.shape(), half);
  std::vector<double> cosines, sines;
  cosines.reserve(static_cast<size_t>(table.cos.elements()));
  sines.reserve(static_cast<size_t>(table.cos.elements()));
  for (int64_t position = 0; position < table.cos.dim(0); ++position)
    for (const double frequency : frequencies) {
      const double angle = static_cast<double>(position) * frequency;
      cosines.push_back(amplitude * std::cos(angle));
      sines.push_back(amplitude * std::sin(angle));
    }
  from_host(table.cos, cosines, stream);
  from_host(table.sin, sines, stream);
}

}  // namespace timetrial::ops
