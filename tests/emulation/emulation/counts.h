// What the process has asked of the emulated device so far. Defined only where the device is emulated.
// SPDX-License-Identifier: Apache-2.0
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

}  // namespace timetrial::emulation
