// RMSNorm on CUDA: tensors to kernel arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/rms_norm.h"

#include "ops/cuda/arguments.h"
#include "ops/cuda/rms_norm_kernels.h"

namespace timetrial::ops::cuda {

void rms_norm_forward(const RmsNormForward& a, StreamRef stream) {
  check_storage("rms_norm_forward", {a.x.dtype()});
  launch(RmsNormForwardLaunch{.out = a.out.raw(),
                              .rstd = a.rstd.data<float>(),
                              .x = a.x.raw(),
                              .weight = a.weight.raw(),
                              .rows = a.x.dim(0),
                              .columns = a.x.dim(1),
                              .epsilon = static_cast<float>(a.epsilon),
                              .type = a.x.dtype()},
         stream);
}

void rms_norm_backward_input(const RmsNormBackwardInput& a, StreamRef stream) {
  check_storage("rms_norm_backward_input", {a.x.dtype()});
  launch(RmsNormBackwardInputLaunch{.d_x = a.d_x.raw(),
                                    .d_out = a.d_out.raw(),
                                    .x = a.x.raw(),
                                    .weight = a.weight.raw(),
                                    .rstd = a.rstd.data<float>(),
                                    .rows = a.x.dim(0),
                                    .columns = a.x.dim(1),
                                    .type = a.x.dtype()},
         stream);
}

void rms_norm_backward_weight(const RmsNormBackwardWeight& a, StreamRef stream) {
  check_storage("rms_norm_backward_weight", {a.x.dtype(), a.d_weight.dtype()});
  launch(RmsNormBackwardWeightLaunch{.d_weight = a.d_weight.raw(),
                                     .d_out = a.d_out.raw(),
                                     .x = a.x.raw(),
                                     .rstd = a.rstd.data<float>(),
                                     .rows = a.x.dim(0),
                                     .columns = a.x.dim(1),
                                     .type = a.x.dtype(),
                                     .weight_type = a.d_weight.dtype()},
         stream);
}

}  // namespace timetrial::ops::cuda
