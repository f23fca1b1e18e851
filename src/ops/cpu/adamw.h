// AdamW on the CPU. T is float or double, the type of all floating tensors; arguments have been checked.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/adamw.h"

namespace timetrial::ops::cpu {

// Squares are summed in double, the same for any number of threads.
template <class T>
void squared_norm(const SquaredNorm& a, std::span<const ParameterSegment> segments);

template <class T>
void clip_coefficient(const ClipCoefficient& a);

template <class T>
void adamw(const AdamW& a, std::span<const ParameterSegment> segments);

}  // namespace timetrial::ops::cpu
