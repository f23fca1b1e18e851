// CPU kernels of latent attention's queries, keys and values. Arguments have been checked.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/latent_qkv.h"

namespace timetrial::ops::cpu {

template <class T>
void latent_qkv_forward(const LatentQkvForward& a);
template <class T>
void latent_qkv_backward(const LatentQkvBackward& a);

}  // namespace timetrial::ops::cpu
