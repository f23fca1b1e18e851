// CPU kernels of the sigmoid router. Arguments have been checked.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/sigmoid_router.h"

namespace timetrial::ops::cpu {

// A NaN logit ranks above every number: ids stay valid, gates become NaN.
template <class T>
void sigmoid_route_forward(const SigmoidRouteForward& a);
// Throws Error for an expert id outside [0, E).
template <class T>
void sigmoid_route_backward(const SigmoidRouteBackward& a);

}  // namespace timetrial::ops::cpu
