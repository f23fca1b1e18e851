// Attention on CUDA: cuDNN's fused attention where the libraries' settings and cuDNN allow it, else our own kernels.
// Defined only in CUDA builds. Storage f32 or bf16, sums and softmax in fp32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/attention.h"

namespace timetrial::ops::cuda {

size_t attention_workspace_bytes(const AttentionShape& shape, DType dtype, Device device, Libraries* libraries);

void attention_forward(const AttentionForward& a, StreamRef stream);
// Our own kernels are bit-equal from run to run: each gradient element is summed by one block in a fixed order.
void attention_backward(const AttentionBackward& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
