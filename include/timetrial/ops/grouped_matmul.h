// Products of grouped rows with one weight per expert: rows [begin[e], begin[e+1]) meet weight e. Sizes stay on the
// device. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

// Which kernels a product takes on CUDA: `best` are the chip's own where type and shape allow (bf16, rows of multiples
// of 16 bytes), else the plain ones, which take anything. The CPU has one kind.
enum class GroupedKernels { best, plain };

// Scratch that one product of so many experts needs with the best kernels, bytes. Same for every size of the groups.
size_t grouped_matmul_workspace_bytes(int64_t experts, DType dtype, Device device);

// c[r] = a[r] W_e^T (transpose_b, weights (E, n, k)) or a[r] W_e (weights (E, k, n)), plus bias_scale[r] * bias[e].
struct GroupedMatmul {
  Tensor c;             // (R, n)
  Tensor a, b;          // (R, k), (E, n, k) or (E, k, n)
  Tensor expert_begin;  // (E + 1) int32
  bool transpose_b = false;
  Tensor bias = {}, bias_scale = {};  // (E, n) optional; (R) optional, 1 when absent
  Tensor workspace = {};              // at least grouped_matmul_workspace_bytes, any type; none for plain kernels
  GroupedKernels kernels = GroupedKernels::best;
};
void grouped_matmul(const GroupedMatmul& a, StreamRef stream);

// d_weight[e] += sum over the expert's rows of d_c[r]^T a[r].
struct GroupedMatmulBackwardWeight {
  Tensor d_weight;  // (E, n, k), accumulated
  Tensor d_c, a;    // (R, n), (R, k)
  Tensor expert_begin;
  Tensor workspace = {};  // as above
  GroupedKernels kernels = GroupedKernels::best;
};
void grouped_matmul_backward_weight(const GroupedMatmulBackwardWeight& a, StreamRef stream);

// d_bias[e] += sum of bias_scale[r] d_c[r].
struct GroupedBiasBackward {
  Tensor d_bias;             // (E, n), accumulated
  Tensor d_c, expert_begin;  // (R, n), (E + 1) int32
  Tensor bias_scale = {};    // (R) optional, 1 when absent
};
void grouped_bias_backward(const GroupedBiasBackward& a, StreamRef stream);

// d_scale[r] += d_c[r] . bias[e]: the gate weight's share of a scaled bias (spec 3.1).
struct GroupedBiasScaleBackward {
  Tensor d_scale;  // (R), accumulated
  Tensor d_c, bias, expert_begin;
};
void grouped_bias_scale_backward(const GroupedBiasScaleBackward& a, StreamRef stream);

}  // namespace timetrial::ops
