// Launchers of the optimizer kernels: plain pointers to device memory. Types are f32 or bf16.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

// Segments travel as kernel arguments, so a step allocates and copies nothing; more of them mean more launches.
inline constexpr int kSegmentsPerLaunch = 64;
struct Segment {
  int64_t begin, end;  // elements
  double norm_weight;
  float decay;
};
struct Segments {
  Segment at[kSegmentsPerLaunch];
  int count;
  int64_t longest;  // elements of the longest one
};

// One partial sum per block of the first pass; kNormPartials of ops/adamw.h.
inline constexpr int kNormBlocks = 1024;

// partial[block] (+)= the block's share of sum of norm_weight * gradient^2.
struct PartialNormsLaunch {
  double* partial;  // (kNormBlocks)
  const void* gradient;
  Segments segments;
  bool accumulate;  // false for the first launch
  DType type;
};
void launch(const PartialNormsLaunch& a, StreamRef stream);

// out[0] += sum of the partials, in their order.
struct SumPartialNormsLaunch {
  float* out;
  const double* partial;
};
void launch(const SumPartialNormsLaunch& a, StreamRef stream);

struct ClipCoefficientLaunch {
  float *norm, *coefficient;
  const float* squared;
  float clip_norm;
};
void launch(const ClipCoefficientLaunch& a, StreamRef stream);

struct AdamWLaunch {
  void* weight;  // may be `master`
  float *master, *moment_1, *moment_2;
  const void* gradient;
  const float* coefficient;
  const float* scalars;  // learning rate, bias_1, bias_2: how StepScalars begins
  float beta_1, beta_2, rest_1, rest_2, epsilon;
  Segments segments;
  DType weight_type, gradient_type;
};
void launch(const AdamWLaunch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
