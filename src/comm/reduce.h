// Reductions over the memory of several ranks, in rank order.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "timetrial/comm/communicator.h"

namespace timetrial::comm {

// Elements [begin, end) of every output = reduction over the inputs, first to last. An output may be an input.
struct Reduce {
  DType dtype;
  Reduction reduction;
  std::span<const void* const> inputs;
  std::span<void* const> outputs;
  int64_t begin, end;
};
void reduce(const Reduce& a);

}  // namespace timetrial::comm
