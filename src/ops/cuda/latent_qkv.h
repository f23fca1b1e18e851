// Latent attention's queries, keys and values on CUDA. Defined only in CUDA builds. Storage f32 or bf16, arithmetic in
// fp32. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/latent_qkv.h"

namespace timetrial::ops::cuda {

void latent_qkv_forward(const LatentQkvForward& a, StreamRef stream);
void latent_qkv_backward(const LatentQkvBackward& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
