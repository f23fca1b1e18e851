// Cutting and joining of columns on CUDA. Defined only in CUDA builds. Storage f32 or bf16, arithmetic in fp32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/columns.h"

namespace timetrial::ops::cuda {

void split_columns(const SplitColumns& a, StreamRef stream);
void join_columns(const JoinColumns& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
