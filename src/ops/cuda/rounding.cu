// Rounding in place, one thread per element.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/rounding_kernels.h"
#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

namespace {

__global__ void round_kernel(float* x, int64_t elements) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kRowThreads + threadIdx.x;
  if (i < elements) x[i] = __bfloat162float(__float2bfloat16_rn(x[i]));
}

}  // namespace

void launch(const RoundToBfloat16Launch& a, StreamRef stream) {
  if (a.elements == 0) return;
  const DeviceScope scope(stream.device.index);
  const auto blocks = static_cast<unsigned>((a.elements + kRowThreads - 1) / kRowThreads);
  round_kernel<<<blocks, kRowThreads, 0, stream_of(stream)>>>(a.x, a.elements);
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
