// CPU kernels of expert routing.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/routing.h"

namespace timetrial::ops::cpu {

// A NaN logit ranks above every number, so a row with one gets valid ids and NaN gates: the loss shows it, nothing
// crashes.
template <class T>
void route_forward(const RouteForward& a);
template <class T>
void route_backward(const RouteBackward& a);

// Throws Error for an expert id outside [0, E).
void group_by_expert(const GroupByExpert& a);

// These three throw Error for an index outside the tensor it points into.
template <class T>
void gather_rows(const GatherRows& a);
template <class T>
void combine_rows(const CombineRows& a);
template <class T>
void ungroup_scalars(const UngroupScalars& a);

}  // namespace timetrial::ops::cpu
