// Additions and sums on CUDA. Defined only in CUDA builds. Storage f32 or bf16.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/elementwise.h"

namespace timetrial::ops::cuda {

void add(const Add& a, StreamRef stream);
void accumulate_sum(const AccumulateSum& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
