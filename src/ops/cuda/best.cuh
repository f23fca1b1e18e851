// Selection of the best few values, serially by one thread; small numbers of experts and groups.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace timetrial::ops::cuda {

// NaN ranks above every number, so that ids stay valid and the values show it.
__device__ inline bool above(float a, float b) { return a > b || (a != a && b == b); }

// The next of `count` values after index `last` in descending order, equal values by index; -1 starts. `at(i)` gives
// value i, `admitted(i)` whether it takes part; -1 when none is left.
template <class At, class Admitted>
__device__ int32_t next_best(int32_t count, int32_t last, const At& at, const Admitted& admitted) {
  int32_t best = -1;
  for (int32_t i = 0; i < count; ++i) {
    if (!admitted(i)) continue;
    if (last >= 0) {
      const float value = at(i), before = at(last);
      if (above(value, before) || (!above(before, value) && i <= last)) continue;
    }
    if (best < 0 || above(at(i), at(best))) best = i;
  }
  return best;
}

}  // namespace timetrial::ops::cuda
