// Rotary kernel: one thread per pair of channels, in place.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/for_each.cuh"
#include "ops/cuda/rope_kernels.h"

namespace timetrial::ops::cuda {

namespace {

template <class T>
struct TurnPair {
  RopeLaunch a;
  __device__ void operator()(int64_t pair) const {
    const int64_t i = pair % a.half, head = pair / a.half % a.heads, row = pair / (a.half * a.heads);
    const int64_t angle = row % a.length * a.half + i;
    T* low = static_cast<T*>(a.x) + row * a.width + head * 2 * a.half + i;
    T* high = low + a.half;
    const float c = a.cos[angle], s = a.direction * a.sin[angle], first = load(low), second = load(high);
    store(low, first * c - second * s);
    store(high, second * c + first * s);
  }
};

}  // namespace

void launch(const RopeLaunch& a, StreamRef stream) {
  visit_storage(a.type, [&]<class T>() { for_each(a.rows * a.heads * a.half, TurnPair<T>{a}, stream); });
}

}  // namespace timetrial::ops::cuda
