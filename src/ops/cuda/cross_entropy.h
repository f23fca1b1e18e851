// Cross entropy on CUDA. Defined only in CUDA builds. Logits f32 or bf16, statistics fp32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/cross_entropy.h"

namespace timetrial::ops::cuda {

void cross_entropy_forward(const CrossEntropyForward& a, StreamRef stream);
void cross_entropy_backward(const CrossEntropyBackward& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
