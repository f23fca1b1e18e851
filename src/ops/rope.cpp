// Rotary position embedding: the frequencies (plain and YaRN, spec 2.1, 2.4, 2.5), the table, and the op's front.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ops/checks.h"
#include "ops/cpu/rope.h"
#include "ops/cuda/rope.h"
#include "ops/on_cpu.h"
#include "timetrial/ops/rope_table.h"

namespace timetrial::ops {

constexpr Roles<Rope> roles(const Rope&) { return {.reads = {&Rope::cos, &Rope::sin}, .updates = {&Rope::x}}; }

namespace {

void check_spec(const RopeFrequencies& spec) {
  if (spec.head_dim < 2 || spec.head_dim % 2 != 0)
    throw UserError(fmt::format("rotary embedding turns pairs of channels: head_dim {} must be even", spec.head_dim));
  if (!(spec.base > 1) || !std::isfinite(spec.base))
    throw UserError(fmt::format("rotary base {} must be a number above 1", spec.base));
  if (!(spec.factor >= 1) || !std::isfinite(spec.factor))
    throw UserError(fmt::format("YaRN factor {} must be at least 1 (1: plain rotary)", spec.factor));
  if (!(spec.mscale_all_dim >= 0) || !std::isfinite(spec.mscale_all_dim))
    throw UserError(fmt::format("YaRN mscale_all_dim {} must be a number from 0", spec.mscale_all_dim));
  if (spec.factor == 1) return;
  if (!(spec.original_length > 0))
    throw UserError(fmt::format("YaRN needs the original context length, got {}", spec.original_length));
  if (!(spec.beta_slow > 0 && spec.beta_fast > spec.beta_slow))
    throw UserError(fmt::format("YaRN needs beta_fast > beta_slow > 0, got {} and {}", spec.beta_fast, spec.beta_slow));
}

// The channel pair that makes `turns` full turns over the original context.
double pair_with_turns(const RopeFrequencies& spec, double turns) {
  return static_cast<double>(spec.head_dim) * std::log(spec.original_length / (turns * 2 * std::numbers::pi)) /
         (2 * std::log(spec.base));
}

struct Bounds {
  double low, high;  // pairs below low keep their frequency, pairs from high on are divided
};
Bounds yarn_bounds(const RopeFrequencies& spec) {
  const Bounds exact{pair_with_turns(spec, spec.beta_fast), pair_with_turns(spec, spec.beta_slow)};
  if (!spec.round_bounds) return exact;
  const double most = static_cast<double>(spec.head_dim - 1);
  Bounds whole{std::clamp(std::floor(exact.low), 0.0, most), std::clamp(std::ceil(exact.high), 0.0, most)};
  if (whole.low == whole.high) whole.high += 0.001;  // a step instead of a ramp of no length
  return whole;
}

double magnitude(double factor, double mscale) { return 0.1 * mscale * std::log(factor) + 1; }

void check(const Rope& a, StreamRef stream) {
  check_devices("rope", {a.x, a.cos, a.sin}, stream);
  const int64_t length = a.cos.dim(0), half = a.cos.dim(1);
  TIMETRIAL_CHECK(length > 0 && half > 0, "rope: table {} is empty", a.cos.shape());
  TIMETRIAL_CHECK(a.sin.shape() == a.cos.shape(), "rope: cos {} but sin {}", a.cos.shape(), a.sin.shape());
  TIMETRIAL_CHECK(a.x.dim(0) % length == 0, "rope: {} rows are no whole sequences of {}", a.x.dim(0), length);
  TIMETRIAL_CHECK(a.x.shape().rank() == 2 && a.heads > 0 && a.heads * 2 * half <= a.x.dim(1),
                  "rope: {} heads of {} channels in x {}", a.heads, 2 * half, a.x.shape());
  const DType expected = wide(a.x.dtype());
  TIMETRIAL_CHECK(a.cos.dtype() == expected && a.sin.dtype() == expected, "rope: x is {}, the table {} and {}",
                  name_of(a.x.dtype()), name_of(a.cos.dtype()), name_of(a.sin.dtype()));
}

void dispatch(const Rope& a, int direction, StreamRef stream) {
  check(a, stream);
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({direction > 0 ? "rope_forward" : "rope_backward", stream, a.x.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::rope<T>(arguments, static_cast<T>(direction)); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::rope(a, direction, stream);
      throw_without_cuda("rope");
  }
}

}  // namespace

std::vector<double> rope_frequencies(const RopeFrequencies& spec) {
  check_spec(spec);
  std::vector<double> frequencies(static_cast<size_t>(spec.head_dim / 2));
  for (size_t i = 0; i < frequencies.size(); ++i)
    frequencies[i] = std::pow(spec.base, -2.0 * static_cast<double>(i) / static_cast<double>(spec.head_dim));
  if (spec.factor == 1) return frequencies;

  const auto [low, high] = yarn_bounds(spec);
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    frequencies[i] *= ramp / spec.factor + (1 - ramp);
  }
  return frequencies;
}

double rope_amplitude(const RopeFrequencies& spec) {
  check_spec(spec);
  return magnitude(spec.factor, 1) / magnitude(spec.factor, spec.mscale_all_dim);
}

double rope_score_factor(const RopeFrequencies& spec) {
  check_spec(spec);
  const double factor = magnitude(spec.factor, spec.mscale_all_dim);
  return factor * factor;
}

void fill_rope_table(const RopeTable& table, const RopeFrequencies& spec, StreamRef stream) {
  fill_angle_table(table, rope_frequencies(spec), rope_amplitude(spec), stream);
}

void rope_forward(const Rope& a, StreamRef stream) { dispatch(a, 1, stream); }
void rope_backward(const Rope& a, StreamRef stream) { dispatch(a, -1, stream); }

}  // namespace timetrial::ops
