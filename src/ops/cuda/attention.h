// Attention on CUDA with our own kernels. Defined only in CUDA builds. Storage f32 or bf16, sums and softmax in fp32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/attention.h"

namespace timetrial::ops::cuda {

// One fp32 per query and head: what backward subtracts from every row of dP.
size_t attention_workspace_bytes(const AttentionShape& shape);

void attention_forward(const AttentionForward& a, StreamRef stream);
// Bit-equal from run to run: each gradient element is summed by one block in a fixed order.
void attention_backward(const AttentionBackward& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
