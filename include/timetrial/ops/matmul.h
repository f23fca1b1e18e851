// Dense products: c = op(a) op(b) + bias, and the column sum that is a bias's gradient.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

// Three uses cover a linear layer with weight (n, k): forward (transpose_b), input gradient (neither), weight gradient
// (transpose_a, accumulate). a and b share one floating type; c may be wider (fp32 gradients of bf16 products).
struct Matmul {
  Tensor c;     // (m, n)
  Tensor a, b;  // (m, k) or (k, m) transposed; (k, n) or (n, k) transposed
  bool transpose_a = false;
  bool transpose_b = false;
  bool accumulate = false;  // c += instead of c =
  Tensor bias = {};         // (n), added to every row; optional
};
void matmul(const Matmul& a, StreamRef stream);

// d_bias[j] += sum over rows of d_out[., j].
struct BiasBackward {
  Tensor d_bias;  // (n), accumulated
  Tensor d_out;   // (m, n)
};
void bias_backward(const BiasBackward& a, StreamRef stream);

}  // namespace timetrial::ops
