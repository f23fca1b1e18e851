// Dense products on CUDA through cuBLASLt. Defined only in CUDA builds. Storage f32 or bf16, accumulation in fp32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/matmul.h"

namespace timetrial::ops::cuda {

// 32 MiB is what cuBLAS itself takes on Hopper (cuBLAS documentation, cublasSetWorkspace).
inline constexpr size_t kMatmulWorkspaceBytes = size_t{32} << 20;

void matmul(const Matmul& a, StreamRef stream);
void bias_backward(const BiasBackward& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
