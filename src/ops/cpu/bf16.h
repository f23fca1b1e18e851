// bf16 storage to fp32 and back.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops::cpu {

void widen(const Tensor& to, const Tensor& from);   // fp32 from bf16, exact
void narrow(const Tensor& to, const Tensor& from);  // bf16 from fp32, to nearest even

}  // namespace timetrial::ops::cpu
