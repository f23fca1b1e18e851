// CPU kernels of the experts' gated activation.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/gated_activation.h"

namespace timetrial::ops::cpu {

template <class T>
void gated_activation_forward(const GatedActivationForward& a);
template <class T>
void gated_activation_backward(const GatedActivationBackward& a);

}  // namespace timetrial::ops::cpu
