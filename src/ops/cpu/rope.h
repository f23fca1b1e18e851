// CPU kernel of the rotary position embedding.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/rope.h"

namespace timetrial::ops::cpu {

// direction +1 turns by the table's angle, -1 by its opposite.
template <class T>
void rope(const Rope& a, T direction);

}  // namespace timetrial::ops::cpu
