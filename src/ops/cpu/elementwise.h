// Additions and sums on the CPU. T is float or double, the type of all tensors; arguments have been checked.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/elementwise.h"

namespace timetrial::ops::cpu {

template <class T>
void add(const Add& a);

// The sum is kept in double.
template <class T>
void accumulate_sum(const AccumulateSum& a);

}  // namespace timetrial::ops::cpu
