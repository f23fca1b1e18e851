// CPU kernels of storage rounding. Arguments have been checked.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/rounding.h"

namespace timetrial::ops::cpu {

void round_to_bfloat16(const RoundToBfloat16& a);

}  // namespace timetrial::ops::cpu
