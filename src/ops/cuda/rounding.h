// Storage rounding on CUDA. Defined only in CUDA builds. Storage f32 or bf16, arithmetic in fp32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/rounding.h"

namespace timetrial::ops::cuda {

void round_to_bfloat16(const RoundToBfloat16& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
