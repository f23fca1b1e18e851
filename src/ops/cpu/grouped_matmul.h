// CPU kernels of the grouped products. Each throws Error when expert_begin does not ascend within the rows.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/grouped_matmul.h"

namespace timetrial::ops::cpu {

template <class T>
void grouped_matmul(const GroupedMatmul& a);
template <class T>
void grouped_matmul_backward_weight(const GroupedMatmulBackwardWeight& a);
template <class T>
void grouped_bias_backward(const GroupedBiasBackward& a);
template <class T>
void grouped_bias_scale_backward(const GroupedBiasScaleBackward& a);

}  // namespace timetrial::ops::cpu
