// Storage rounding: fp32 words made to hold what bf16 storage would (spec 8.4).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

// x = x rounded to the nearest bf16 value, ties to even, in place; NaN stays NaN, what overflows becomes infinite.
struct RoundToBfloat16 {
  Tensor x;  // any shape, fp32
};
void round_to_bfloat16(const RoundToBfloat16& a, StreamRef stream);

}  // namespace timetrial::ops
