// Cross entropy on the CPU. T is float or double, the type of all floating tensors; arguments have been checked, labels
// are checked here. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/cross_entropy.h"

namespace timetrial::ops::cpu {

// Throws Error for a label outside [0, V).
template <class T>
void cross_entropy_forward(const CrossEntropyForward& a);

// As forward.
template <class T>
void cross_entropy_backward(const CrossEntropyBackward& a);

}  // namespace timetrial::ops::cpu
