// Dense products on the CPU: float goes to oneDNN, double to plain loops of its own.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/matmul.h"

namespace timetrial::ops::cpu {

// T is float or double, the type of all tensors. Arguments have been checked.
template <class T>
void matmul(const Matmul& a);

template <class T>
void bias_backward(const BiasBackward& a);

}  // namespace timetrial::ops::cpu
