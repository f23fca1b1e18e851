// SumScratch: device memory for parts of sums, as much as the caller has to spare.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace timetrial::ops::cuda {

struct SumScratch {
  void* data = nullptr;  // aligned for fp32; null: none
  int64_t bytes = 0;
};

}  // namespace timetrial::ops::cuda
