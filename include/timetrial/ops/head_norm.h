// QK-norm (spec 2.3, 4.1): RMSNorm over each head of queries and keys, one weight for all of a kind, before rotation.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

// A row of all ops here: H query heads of d channels, K key heads, then values, which pass unchanged. bf16 tensors keep
// fp32 statistics and weight gradients. Throws Error when shapes, types or devices do not fit each other.
//
// Per head out = weight * x * rstd, rstd = 1/sqrt(mean over d of x^2 + epsilon); out is not x.
struct HeadNormForward {
  Tensor out, rstd;              // (N, W), W >= (H + K) d; (N, H + K) fp32, or f64 when x is
  Tensor x, q_weight, k_weight;  // (N, W), (d), (d)
  int64_t heads;                 // H; K is what rstd has beyond
  double epsilon;
};
void head_norm_forward(const HeadNormForward& a, StreamRef stream);

// Per head d_x = rstd (w d_out) - x rstd^3 mean(w d_out x); the values' part is copied. d_x is not d_out.
struct HeadNormBackwardInput {
  Tensor d_x;                 // (N, W)
  Tensor d_out, x, rstd;      // (N, W), (N, W), (N, H + K)
  Tensor q_weight, k_weight;  // (d), (d)
  int64_t heads;              // H
};
void head_norm_backward_input(const HeadNormBackwardInput& a, StreamRef stream);

// d_weight += sum over rows and heads of d_out x rstd, in an order that does not depend on the number of threads.
struct HeadNormBackwardWeight {
  Tensor d_q_weight, d_k_weight;  // (d) fp32, or f64 when x is; accumulated
  Tensor d_out, x, rstd;          // (N, W), (N, W), (N, H + K)
  int64_t heads;                  // H
  Tensor workspace = {};  // CUDA only, optional, any type and size: rows are summed side by side where it has room
};
void head_norm_backward_weight(const HeadNormBackwardWeight& a, StreamRef stream);

}  // namespace timetrial::ops
