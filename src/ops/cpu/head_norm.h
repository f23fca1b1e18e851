// QK-norm on the CPU. T is float or double, the type of all tensors; arguments have been checked.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/head_norm.h"

namespace timetrial::ops::cpu {

template <class T>
void head_norm_forward(const HeadNormForward& a);

template <class T>
void head_norm_backward_input(const HeadNormBackwardInput& a);

template <class T>
void head_norm_backward_weight(const HeadNormBackwardWeight& a);

}  // namespace timetrial::ops::cpu
