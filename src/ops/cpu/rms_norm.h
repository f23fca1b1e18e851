// RMSNorm on the CPU. T is float or double, the type of all tensors; arguments have been checked.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/rms_norm.h"

namespace timetrial::ops::cpu {

template <class T>
void rms_norm_forward(const RmsNormForward& a);

template <class T>
void rms_norm_backward_input(const RmsNormBackwardInput& a);

template <class T>
void rms_norm_backward_weight(const RmsNormBackwardWeight& a);

}  // namespace timetrial::ops::cpu
