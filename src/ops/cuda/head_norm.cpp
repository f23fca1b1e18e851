// QK-norm on CUDA: tensors to kernel arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/head_norm.h"

#include "ops/cuda/arguments.h"
#include "ops/cuda/head_norm_kernels.h"

namespace timetrial::ops::cuda {

namespace {

HeadRows rows_of(const Tensor& x, const Tensor& rstd, const Tensor& weight, int64_t heads) {
  return {.rows = x.dim(0),
          .width = x.dim(1),
          .head_dim = weight.dim(0),
          .query_heads = heads,
          .normed_heads = rstd.dim(1),
          .type = x.dtype()};
}

}  // namespace

void head_norm_forward(const HeadNormForward& a, StreamRef stream) {
  check_storage("head_norm_forward", {a.x.dtype()});
  launch(HeadNormForwardLaunch{.out = a.out.raw(),
                               .rstd = a.rstd.data<float>(),
                               .x = a.x.raw(),
                               .q_weight = a.q_weight.raw(),
                               .k_weight = a.k_weight.raw(),
                               .epsilon = static_cast<float>(a.epsilon),
                               .shape = rows_of(a.x, a.rstd, a.q_weight, a.heads)},
         stream);
}

void head_norm_backward_input(const HeadNormBackwardInput& a, StreamRef stream) {
  check_storage("head_norm_backward_input", {a.x.dtype()});
  launch(HeadNormBackwardInputLaunch{.d_x = a.d_x.raw(),
                                     .d_out = a.d_out.raw(),
                                     .x = a.x.raw(),
                                     .q_weight = a.q_weight.raw(),
                                     .k_weight = a.k_weight.raw(),
                                     .rstd = a.rstd.data<float>(),
                                     .shape = rows_of(a.x, a.rstd, a.q_weight, a.heads)},
         stream);
}

void head_norm_backward_weight(const HeadNormBackwardWeight& a, StreamRef stream) {
  check_storage("head_norm_backward_weight", {a.x.dtype()});
  launch(HeadNormBackwardWeightLaunch{.d_q_weight = a.d_q_weight.data<float>(),
                                      .d_k_weight = a.d_k_weight.data<float>(),
                                      .d_out = a.d_out.raw(),
                                      .x = a.x.raw(),
                                      .rstd = a.rstd.data<float>(),
                                      .shape = rows_of(a.x, a.rstd, a.d_q_weight, a.heads),
                                      .scratch = scratch_of(a.workspace)},
         stream);
}

}  // namespace timetrial::ops::cuda
