// Grouped products on CUDA: tensors to kernel arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/grouped_matmul.h"

#include "ops/cuda/arguments.h"
#include "ops/cuda/grouped_matmul_kernels.h"

namespace timetrial::ops::cuda {

void grouped_matmul(const GroupedMatmul& a, StreamRef stream) {
  check_storage("grouped_matmul", {a.a.dtype()});
  launch(GroupedMatmulLaunch{.c = a.c.raw(),
                             .a = a.a.raw(),
                             .b = a.b.raw(),
                             .bias = a.bias ? a.bias.raw() : nullptr,
                             .bias_scale = floats_of(a.bias_scale),
                             .expert_begin = a.expert_begin.data<int32_t>(),
                             .rows = a.c.dim(0),
                             .n = a.c.dim(1),
                             .k = a.a.dim(1),
                             .experts = a.expert_begin.dim(0) - 1,
                             .transpose_b = a.transpose_b,
                             .type = a.a.dtype()},
         stream);
}

void grouped_matmul_backward_weight(const GroupedMatmulBackwardWeight& a, StreamRef stream) {
  check_storage("grouped_matmul_backward_weight", {a.a.dtype(), a.d_weight.dtype()});
  launch(GroupedMatmulBackwardWeightLaunch{.d_weight = a.d_weight.raw(),
                                           .d_c = a.d_c.raw(),
                                           .a = a.a.raw(),
                                           .expert_begin = a.expert_begin.data<int32_t>(),
                                           .n = a.d_c.dim(1),
                                           .k = a.a.dim(1),
                                           .experts = a.expert_begin.dim(0) - 1,
                                           .type = a.a.dtype(),
                                           .weight_type = a.d_weight.dtype()},
         stream);
}

void grouped_bias_backward(const GroupedBiasBackward& a, StreamRef stream) {
  check_storage("grouped_bias_backward", {a.d_c.dtype(), a.d_bias.dtype()});
  launch(GroupedBiasBackwardLaunch{.d_bias = a.d_bias.raw(),
                                   .d_c = a.d_c.raw(),
                                   .bias_scale = floats_of(a.bias_scale),
                                   .expert_begin = a.expert_begin.data<int32_t>(),
                                   .n = a.d_c.dim(1),
                                   .experts = a.expert_begin.dim(0) - 1,
                                   .type = a.d_c.dtype(),
                                   .bias_type = a.d_bias.dtype()},
         stream);
}

void grouped_bias_scale_backward(const GroupedBiasScaleBackward& a, StreamRef stream) {
  check_storage("grouped_bias_scale_backward", {a.d_c.dtype()});
  launch(GroupedBiasScaleBackwardLaunch{.d_scale = a.d_scale.data<float>(),
                                        .d_c = a.d_c.raw(),
                                        .bias = a.bias.raw(),
                                        .expert_begin = a.expert_begin.data<int32_t>(),
                                        .rows = a.d_c.dim(0),
                                        .n = a.d_c.dim(1),
                                        .experts = a.expert_begin.dim(0) - 1,
                                        .type = a.d_c.dtype()},
         stream);
}

}  // namespace timetrial::ops::cuda
