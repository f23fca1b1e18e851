// CPU kernels of cutting and joining columns. Arguments have been checked.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/columns.h"

namespace timetrial::ops::cpu {

template <class T>
void split_columns(const SplitColumns& a);
template <class T>
void join_columns(const JoinColumns& a);

}  // namespace timetrial::ops::cpu
