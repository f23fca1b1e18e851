// Token embedding on CUDA. Defined only in CUDA builds. Storage f32 or bf16; a bf16 gradient may go into an fp32 table.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/embedding.h"

namespace timetrial::ops::cuda {

void embedding_forward(const EmbeddingForward& a, StreamRef stream);
void embedding_backward(const EmbeddingBackward& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
