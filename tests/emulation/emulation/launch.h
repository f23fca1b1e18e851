// A kernel launch: the shape in <<<...>>>, its checks, and the closure that one thread of it runs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>

namespace timetrial::emulation {

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

struct LaunchShape {
  dim3 grid, block;
  size_t dynamic_shared;  // bytes per block
  cudaStream_t stream;
};
inline LaunchShape launch_shape(dim3 grid, dim3 block, size_t dynamic_shared = 0, cudaStream_t stream = nullptr) {
  return {grid, block, dynamic_shared, stream};
}

// Limits of compute capabilities 7.5 to 10.0 (CUDA programming guide, technical specifications per capability).
inline constexpr unsigned kMostThreads = 1024, kMostThreadsZ = 64;
inline constexpr unsigned kMostBlocksX = 2147483647, kMostBlocksYZ = 65535;
inline constexpr size_t kSharedBytes = size_t{48} << 10;       // of a block, without asking
inline constexpr size_t kMostSharedBytes = size_t{227} << 10;  // after cudaFuncSetAttribute

// Queues `thread` for every thread of the grid, or leaves an error for cudaGetLastError. `function` says which kernel
// it is where dynamic shared memory is wanted; null otherwise.
void launch(const LaunchShape& shape, const void* function, std::function<void()> thread);

}  // namespace timetrial::emulation
