// RMSNorm on CUDA. Defined only in CUDA builds. Storage f32 or bf16, arithmetic in fp32, no atomics.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/rms_norm.h"

namespace timetrial::ops::cuda {

void rms_norm_forward(const RmsNormForward& a, StreamRef stream);
void rms_norm_backward_input(const RmsNormBackwardInput& a, StreamRef stream);
void rms_norm_backward_weight(const RmsNormBackwardWeight& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
