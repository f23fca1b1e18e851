// Rotary position embedding on CUDA. Defined only in CUDA builds. Storage f32 or bf16, the table fp32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/rope.h"

namespace timetrial::ops::cuda {

// `direction` is 1, or -1 for the opposite angle.
void rope(const Rope& a, int direction, StreamRef stream);

}  // namespace timetrial::ops::cuda
