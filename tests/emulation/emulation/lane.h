// What a kernel's thread asks of its block: who it is, shared memory, barriers, warp operations.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>

#include "emulation/launch.h"

namespace timetrial::emulation {

using Where = std::source_location;

struct Uint3 {
  unsigned x, y, z;
};
// Of the thread that runs now.
extern Uint3 threadIdx, blockIdx, blockDim, gridDim;

// An operation that waits for other threads, and the place in the kernel that calls it.
struct Meeting {
  const char* name;
  Where where;
};

// For messages; called first thing in a kernel.
void enter_kernel(const char* name);

// Returns when all threads of the block have come to this barrier: the number of them whose predicate is not 0.
int barrier(const Meeting& meeting, int predicate);
// What a lane brings to an operation of its warp.
struct WarpGift {
  unsigned mask;
  uint32_t value = 0;
  unsigned lane_mask = 0;  // whose value it wants: that of the lane with these bits turned
  bool votes = false;      // or the set of lanes whose value is not 0
};
// Returns when all lanes that the mask names, and that still live, have come. All bits are set where the lane that was
// asked for is not among them.
uint32_t warp_operation(const Meeting& meeting, const WarpGift& gift);

// The block's memory for one declaration; `place` is different for each. Garbage when the block starts.
void* static_shared_memory(const void* place, size_t bytes);
void* dynamic_shared_memory();

template <class T, class Place>
T& static_shared() {
  static char place = 0;
  return *static_cast<T*>(static_shared_memory(&place, sizeof(T)));
}

// `extern __shared__ T name[]`.
template <class T>
struct DynamicShared {
  operator T*() const { return static_cast<T*>(dynamic_shared_memory()); }
};

}  // namespace timetrial::emulation
