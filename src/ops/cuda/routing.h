// Expert routing on CUDA. Defined only in CUDA builds. Storage f32 or bf16, gates fp32. Indices are trusted: they come
// from route_forward and group_by_expert. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/routing.h"

namespace timetrial::ops::cuda {

void route_forward(const RouteForward& a, StreamRef stream);
void route_backward(const RouteBackward& a, StreamRef stream);
void group_by_expert(const GroupByExpert& a, StreamRef stream);
void gather_rows(const GatherRows& a, StreamRef stream);
void combine_rows(const CombineRows& a, StreamRef stream);
void ungroup_scalars(const UngroupScalars& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
