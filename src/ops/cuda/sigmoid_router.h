// Sigmoid router on CUDA. Defined only in CUDA builds. Storage f32 or bf16, arithmetic in fp32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/sigmoid_router.h"

namespace timetrial::ops::cuda {

void sigmoid_route_forward(const SigmoidRouteForward& a, StreamRef stream);
void sigmoid_route_backward(const SigmoidRouteBackward& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
