// Portable exp that compilers vectorise, and the mark for hot functions that are built for several x86-64 levels.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

// The default build targets the x86-64 baseline; a function with this mark is compiled for AVX2 and AVX-512 as well,
// and the loader picks. Only GCC on x86-64 Linux has it; sanitizers run before the loader's choice can be made. Put it
// on non-template functions without OpenMP regions, since outlined regions are not cloned.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(TIMETRIAL_SANITIZED)
#define TIMETRIAL_MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TIMETRIAL_MULTIVERSION
#endif

namespace timetrial::ops::cpu {

// exp(x) within 1.25 units in the last place for every float, denormal results included; exp(-inf) = 0, overflow gives
// inf, NaN stays NaN. x = n ln 2 + r with |r| <= ln 2 / 2, then a degree-7 series of r times 2^n.
[[gnu::always_inline]] inline float fast_exp(float x) {
  constexpr float kLog2E = 1.44269504f;
  constexpr float kLn2High = 0.693359375f;    // 9 bits: n times it is exact
  constexpr float kLn2Low = -2.12194440e-4f;  // ln 2 - kLn2High
  constexpr float kRound = 12582912.0f;       // 1.5 * 2^23: adding it rounds to the nearest integer
  x = x < -104.0f ? -104.0f : x;              // rounds to 0; comparisons are false for NaN, which passes through
  x = x > 89.0f ? 89.0f : x;                  // overflows to inf
  const float shifted = x * kLog2E + kRound;
  const float n = shifted - kRound;
  // The integer sits in the low bits; unsigned, because a NaN's bits may wrap.
  const auto exponent = static_cast<int32_t>(std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(kRound));
  const float r = (x - n * kLn2High) - n * kLn2Low;
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r * r + r + 1.0f;
  // 2^n in two factors, each a normal float for n in [-150, 128].
  const int32_t half = exponent >> 1;
  const auto power = [](int32_t e) { return std::bit_cast<float>((static_cast<uint32_t>(e) + 127) << 23); };
  return p * power(half) * power(exponent - half);
}
[[gnu::always_inline]] inline double fast_exp(double x) { return std::exp(x); }

}  // namespace timetrial::ops::cpu
