// Gated activation on CUDA. Defined only in CUDA builds. Storage f32 or bf16, gates fp32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/gated_activation.h"

namespace timetrial::ops::cuda {

void gated_activation_forward(const GatedActivationForward& a, StreamRef stream);
void gated_activation_backward(const GatedActivationBackward& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
