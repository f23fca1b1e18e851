// Counting with whole-number atomics, whose order does not show; the sign rule by one block.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/expert_bias_kernels.h"
#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

namespace {

__global__ void count_kernel(CountExpertsLaunch a) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kRowThreads + threadIdx.x;
  if (i < a.pairs) atomicAdd(a.counts + a.expert[i], 1);
}

__global__ void update_kernel(ExpertBiasUpdateLaunch a) {
  __shared__ int64_t total;
  if (threadIdx.x == 0) {
    total = 0;
    for (int32_t e = 0; e < a.experts; ++e) total += a.counts[e];
  }
  __syncthreads();
  for (int32_t e = static_cast<int32_t>(threadIdx.x); e < a.experts; e += kRowThreads) {
    const int64_t missing = total - static_cast<int64_t>(a.experts) * a.counts[e];  // experts times (mean - count)
    a.bias[e] += a.rate * static_cast<float>((missing > 0) - (missing < 0));
  }
}

}  // namespace

void launch(const CountExpertsLaunch& a, StreamRef stream) {
  if (a.pairs == 0) return;
  const DeviceScope scope(stream.device.index);
  const auto blocks = static_cast<unsigned>((a.pairs + kRowThreads - 1) / kRowThreads);
  count_kernel<<<blocks, kRowThreads, 0, stream_of(stream)>>>(a);
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const ExpertBiasUpdateLaunch& a, StreamRef stream) {
  const DeviceScope scope(stream.device.index);
  update_kernel<<<1, kRowThreads, 0, stream_of(stream)>>>(a);
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
