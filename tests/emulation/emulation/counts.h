// What the process has asked of the emulated devices so far, and how many there are. Defined only where the device is
// emulated. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace timetrial::emulation {

struct Counts {
  int64_t launches = 0;          // kernels
  int64_t products = 0;          // calls of cublasLtMatmul
  int64_t allocations = 0;       // device memory and page-locked memory
  int64_t synchronisations = 0;  // of streams and events by the host, and calls that imply one
  int64_t copies = 0, fills = 0;
};

Counts counts();

// How many devices cudaGetDeviceCount finds; 1 until this is called, which is before anything is on one of them.
inline constexpr int kMostDevices = 8;
void set_devices(int devices);
// Whether a call has made a context on a device since the last forget_contexts(), as cudaSetDevice does and every call
// that works on the calling thread's device.
bool has_context(int device);
void forget_contexts();

}  // namespace timetrial::emulation
