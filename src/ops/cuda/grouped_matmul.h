// Grouped products on CUDA. Defined only in CUDA builds. Storage f32 or bf16, sums and bias scales fp32. Group sizes
// are read on the device alone. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/grouped_matmul.h"

namespace timetrial::ops::cuda {

size_t grouped_matmul_workspace_bytes(int64_t experts, DType dtype, Device device);
void grouped_matmul(const GroupedMatmul& a, StreamRef stream);
void grouped_matmul_backward_weight(const GroupedMatmulBackwardWeight& a, StreamRef stream);
void grouped_bias_backward(const GroupedBiasBackward& a, StreamRef stream);
void grouped_bias_scale_backward(const GroupedBiasScaleBackward& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
