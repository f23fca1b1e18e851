// AdamW, gradient norm and clip on CUDA. Defined only in CUDA builds. fp32 masters and moments; weights and gradients
// f32 or bf16. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "timetrial/ops/adamw.h"

namespace timetrial::ops::cuda {

void squared_norm(const SquaredNorm& a, std::span<const ParameterSegment> segments, StreamRef stream);
void clip_coefficient(const ClipCoefficient& a, StreamRef stream);
void adamw(const AdamW& a, std::span<const ParameterSegment> segments, StreamRef stream);

}  // namespace timetrial::ops::cuda
