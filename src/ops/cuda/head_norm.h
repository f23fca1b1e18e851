// QK-norm on CUDA. Defined only in CUDA builds. Storage f32 or bf16, statistics and weight gradients fp32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/head_norm.h"

namespace timetrial::ops::cuda {

void head_norm_forward(const HeadNormForward& a, StreamRef stream);
void head_norm_backward_input(const HeadNormBackwardInput& a, StreamRef stream);
void head_norm_backward_weight(const HeadNormBackwardWeight& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
