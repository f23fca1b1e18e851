// RMSNorm: out = weight * x * rstd, rstd = 1/sqrt(mean(x^2) + epsilon) (spec 4.1).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

struct RmsNormForward {
  Tensor out, rstd;  // (N, C), (N) fp32, or f64 when x is
  Tensor x, weight;  // (N, C), (C)
  double epsilon;
};
void rms_norm_forward(const RmsNormForward& a, StreamRef stream);

// d_x = rstd (w d_out) - x rstd^3 mean(w d_out x).
struct RmsNormBackwardInput {
  Tensor d_x;                     // (N, C)
  Tensor d_out, x, rstd, weight;  // (N, C), (N, C), (N), (C)
};
void rms_norm_backward_input(const RmsNormBackwardInput& a, StreamRef stream);

// d_weight += sum over rows of d_out x rstd.
struct RmsNormBackwardWeight {
  Tensor d_weight;        // (C), accumulated
  Tensor d_out, x, rstd;  // (N, C), (N, C), (N)
};
void rms_norm_backward_weight(const RmsNormBackwardWeight& a, StreamRef stream);

}  // namespace timetrial::ops
