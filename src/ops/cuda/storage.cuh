// What CUDA kernels share: storage types with fp32 arithmetic, a fixed-order block sum.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "device/cuda/check.h"
#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

using timetrial::cuda::DeviceScope;

inline cudaStream_t stream_of(StreamRef stream) { return static_cast<cudaStream_t>(stream.handle); }

// Calls f.operator()<float>() or <__nv_bfloat16>(). Other types have been refused by check_storage on the host.
template <class F>
void visit_storage(DType dtype, F&& f) {
  if (dtype == DType::bf16)
    f.template operator()<__nv_bfloat16>();
  else
    f.template operator()<float>();
}

__device__ inline float load(const float* p) { return *p; }
__device__ inline float load(const __nv_bfloat16* p) { return __bfloat162float(*p); }
__device__ inline void store(float* p, float value) { *p = value; }
__device__ inline void store(__nv_bfloat16* p, float value) { *p = __float2bfloat16_rn(value); }

// Sum and maximum over a warp, known to all lanes, in a fixed order. All 32 lanes must call them.
__device__ inline float warp_sum(float value) {
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(0xFFFFFFFFu, value, offset);
  return value;
}
__device__ inline float warp_max(float value) {
  for (int offset = 16; offset > 0; offset /= 2) value = fmaxf(value, __shfl_xor_sync(0xFFFFFFFFu, value, offset));
  return value;
}

inline constexpr int kRowThreads = 256;  // threads of a block that owns one row

// Sum over the kRowThreads threads of a block, known to all of them; the order is fixed. All threads must call it.
__device__ inline float block_sum(float value) {
  __shared__ float warp_sums[kRowThreads / 32];
  value = warp_sum(value);
  __syncthreads();  // an earlier call's sums may still be being read
  if (threadIdx.x % 32 == 0) warp_sums[threadIdx.x / 32] = value;
  __syncthreads();
  float sum = 0;
  for (int warp = 0; warp < kRowThreads / 32; ++warp) sum += warp_sums[warp];
  return sum;
}

// Maximum over the kRowThreads threads of a block, as block_sum.
__device__ inline float block_max(float value) {
  __shared__ float warp_maxima[kRowThreads / 32];
  value = warp_max(value);
  __syncthreads();
  if (threadIdx.x % 32 == 0) warp_maxima[threadIdx.x / 32] = value;
  __syncthreads();
  float largest = -INFINITY;
  for (int warp = 0; warp < kRowThreads / 32; ++warp) largest = fmaxf(largest, warp_maxima[warp]);
  return largest;
}

}  // namespace timetrial::ops::cuda
