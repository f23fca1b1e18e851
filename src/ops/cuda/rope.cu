// Rotary kernel: a block per row, a thread per pair of channels, in place.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/rope_kernels.h"
#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

namespace {

// Positions inside a row are 32 bits wide: the hardware divides 64-bit numbers by a subroutine.
template <class T>
__global__ void turn_kernel(RopeLaunch a) {
  const int64_t row = blockIdx.x;
  T* x = static_cast<T*>(a.x) + row * a.width;
  const int64_t angles = static_cast<int64_t>(blockIdx.x % static_cast<unsigned>(a.length)) * a.half;
  const auto half = static_cast<unsigned>(a.half), pairs = static_cast<unsigned>(a.heads) * half;
  for (unsigned pair = threadIdx.x; pair < pairs; pair += kRowThreads) {
    const unsigned head = pair / half, i = pair - head * half;
    T* low = x + head * 2 * half + i;
    T* high = low + half;
    const int64_t angle = angles + i;
    const float c = a.cos[angle], s = a.direction * a.sin[angle], first = load(low), second = load(high);
    store(low, first * c - second * s);
    store(high, second * c + first * s);
  }
}

}  // namespace

void launch(const RopeLaunch& a, StreamRef stream) {
  if (a.rows == 0 || a.heads * a.half == 0) return;
  const DeviceScope scope(stream.device.index);
  visit_storage(a.type, [&]<class T>() {
    turn_kernel<T><<<static_cast<unsigned>(a.rows), kRowThreads, 0, stream_of(stream)>>>(a);
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
