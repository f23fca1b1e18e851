// What nvcc puts in front of every .cu file: the built-in variables, barriers, warp operations and atomics of a kernel.
// Translated kernels (translate.py) include this file first. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>
#include <math.h>

#include <bit>
#include <cstdint>

#include "emulation/lane.h"
#include "emulation/launch.h"

#define __global__
#define __device__
#define __host__

using timetrial::emulation::dim3;

// Of the thread that runs now; the emulator sets them whenever it turns to another one. Never TLS, because one thread
// of one block runs at a time in the whole process.
using timetrial::emulation::blockDim;
using timetrial::emulation::blockIdx;
using timetrial::emulation::gridDim;
using timetrial::emulation::threadIdx;

using timetrial::emulation::Where;

inline void __syncthreads(Where where = Where::current()) {
  timetrial::emulation::barrier({"__syncthreads", where}, 0);
}
inline int __syncthreads_or(int predicate, Where where = Where::current()) {
  return timetrial::emulation::barrier({"__syncthreads_or", where}, predicate) != 0;
}
inline int __syncthreads_count(int predicate, Where where = Where::current()) {
  return timetrial::emulation::barrier({"__syncthreads_count", where}, predicate);
}

inline void __syncwarp(unsigned mask = 0xFFFFFFFFU, Where where = Where::current()) {
  timetrial::emulation::warp_operation({"__syncwarp", where}, {mask});
}
inline unsigned __ballot_sync(unsigned mask, int predicate, Where where = Where::current()) {
  return timetrial::emulation::warp_operation({"__ballot_sync", where},
                                              {.mask = mask, .value = predicate != 0, .votes = true});
}
inline int __shfl_xor_sync(unsigned mask, int value, int lane_mask, Where where = Where::current()) {
  return std::bit_cast<int>(timetrial::emulation::warp_operation(
      {"__shfl_xor_sync", where},
      {.mask = mask, .value = std::bit_cast<uint32_t>(value), .lane_mask = static_cast<unsigned>(lane_mask)}));
}
inline float __shfl_xor_sync(unsigned mask, float value, int lane_mask, Where where = Where::current()) {
  return std::bit_cast<float>(timetrial::emulation::warp_operation(
      {"__shfl_xor_sync", where},
      {.mask = mask, .value = std::bit_cast<uint32_t>(value), .lane_mask = static_cast<unsigned>(lane_mask)}));
}

inline int __popc(unsigned value) { return std::popcount(value); }

// Relaxed, as on the device.
inline int atomicAdd(int* address, int value) { return __atomic_fetch_add(address, value, __ATOMIC_RELAXED); }
