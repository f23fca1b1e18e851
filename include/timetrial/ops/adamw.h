// AdamW in the decoupled form of spec 8.1, the global gradient norm and its clip (spec 8.2).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

// Values that change every step. They live in device memory, one copy per step, and are never kernel arguments.
struct StepScalars {
  float learning_rate;
  float bias_1, bias_2;  // 1 - beta^t, t counted from 1
  int32_t unused = 0;
  int64_t step;  // 0-based
};

// A run of elements of a flat parameter buffer with one treatment.
struct ParameterSegment {
  int64_t begin, end;  // elements
  bool decay;          // weight decay applies
  double norm_weight;  // 1/replicas: the global norm counts every parameter once
};

// out[0] += sum of norm_weight * gradient^2 over the segments, in a fixed order.
struct SquaredNorm {
  Tensor out;             // (1) fp32, or f64 when the gradients are; accumulated
  Tensor gradient;        // (P)
  Tensor workspace = {};  // (kNormPartials) f64, overwritten; the CPU needs none
};
// Partial sums of the norm's first pass on a GPU, one per block.
inline constexpr int64_t kNormPartials = 1024;
void squared_norm(const SquaredNorm& a, std::span<const ParameterSegment> segments, StreamRef stream);

// norm[0] = sqrt(squared[0]); coefficient[0] = min(1, clip / (norm + 1e-6)).
struct ClipCoefficient {
  Tensor norm, coefficient;  // (1), (1)
  Tensor squared;            // (1)
  double clip_norm;
};
void clip_coefficient(const ClipCoefficient& a, StreamRef stream);

// g = coefficient * gradient; m, v moments; p -= lr (m^ / (sqrt(v^) + epsilon) + decay p); weight = round(p).
struct AdamW {
  Tensor weight, master, moment_1, moment_2;  // (P) each; weight may be master's own memory when the types agree
  Tensor gradient, coefficient;               // (P), (1)
  Tensor scalars;                             // one StepScalars in device memory, as int32 (6)
  double beta_1, beta_2, epsilon, weight_decay;
};
void adamw(const AdamW& a, std::span<const ParameterSegment> segments, StreamRef stream);

}  // namespace timetrial::ops
