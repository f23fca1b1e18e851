// One thread per element: the shape of every op whose elements do not see each other.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

template <class F>
__global__ void for_each_kernel(int64_t count, F f) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) f(i);
}

// Queues f(i) for i in [0, count); f is a struct of plain values with a __device__ call operator.
template <class F>
void for_each(int64_t count, F f, StreamRef stream) {
  if (count == 0) return;
  const DeviceScope scope(stream.device.index);
  constexpr int kThreads = 256;
  const auto blocks = static_cast<unsigned>((count + kThreads - 1) / kThreads);
  for_each_kernel<<<blocks, kThreads, 0, stream_of(stream)>>>(count, f);
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
