// Selection of the best few values, by one thread or by a warp; small numbers of experts and groups.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace timetrial::ops::cuda {

// NaN ranks above every number, so that ids stay valid and the values show it.
__device__ inline bool above(float a, float b) { return a > b || (a != a && b == b); }

// Which values a thread looks at.
struct Candidates {
  int32_t end, first = 0, step = 1;
};

// The next of the values after index `last` in descending order, equal values by index; -1 starts. `at(i)` gives
// value i, `admitted(i)` whether it takes part; -1 when none is left.
template <class At, class Admitted>
__device__ int32_t next_best(const Candidates& all, int32_t last, const At& at, const Admitted& admitted) {
  int32_t best = -1;
  for (int32_t i = all.first; i < all.end; i += all.step) {
    if (!admitted(i)) continue;
    if (last >= 0) {
      const float value = at(i), before = at(last);
      if (above(value, before) || (!above(before, value) && i <= last)) continue;
    }
    if (best < 0 || above(at(i), at(best))) best = i;
  }
  return best;
}

// The same by all 32 lanes of a warp, for `count` values; every lane gets the result.
template <class At, class Admitted>
__device__ int32_t warp_next_best(int32_t count, int32_t last, const At& at, const Admitted& admitted) {
  int32_t best = next_best({count, static_cast<int32_t>(threadIdx.x % 32), 32}, last, at, admitted);
  for (int offset = 16; offset > 0; offset /= 2) {
    const int32_t other = __shfl_xor_sync(0xFFFFFFFFu, best, offset);
    if (other < 0) continue;
    const bool ahead = best < 0 || above(at(other), at(best));
    if (ahead || (!above(at(best), at(other)) && other < best)) best = other;
  }
  return best;
}

}  // namespace timetrial::ops::cuda
