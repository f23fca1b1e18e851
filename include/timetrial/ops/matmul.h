// Dense products: c = op(a) op(b) + bias, and the column sum that is a bias's gradient.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

class Libraries;

// Workspace with which a library has every kernel to choose from, bytes; 0 on the CPU.
size_t matmul_workspace_bytes(Device device);

// Three uses cover a linear layer with weight (n, k): forward (transpose_b), input gradient (neither), weight gradient
// (transpose_a, accumulate). a and b share one floating type; c may be wider (fp32 gradients of bf16 products).
struct Matmul {
  Tensor c;     // (m, n)
  Tensor a, b;  // (m, k) or (k, m) transposed; (k, n) or (n, k) transposed
  bool transpose_a = false;
  bool transpose_b = false;
  bool accumulate = false;  // c += instead of c =
  Tensor bias = {};         // (n), added to every row; optional
  Tensor d_bias = {};       // (m), += column sums of a; with transpose_a and without bias; optional

  // CUDA only, both optional. Without a workspace the library chooses among kernels that need none; without libraries
  // handle and plan are made for this call alone, which is slow and waits for the device.
  Tensor workspace = {};
  Libraries* libraries = nullptr;
};
void matmul(const Matmul& a, StreamRef stream);

// d_bias[j] += sum over rows of d_out[., j].
struct BiasBackward {
  Tensor d_bias;          // (n), accumulated
  Tensor d_out;           // (m, n)
  Tensor workspace = {};  // CUDA only, optional, any type and size: rows are summed side by side where it has room
};
void bias_backward(const BiasBackward& a, StreamRef stream);

}  // namespace timetrial::ops
