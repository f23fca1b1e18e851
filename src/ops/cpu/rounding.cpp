// Rounding in place, element by element.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/rounding.h"

#include "ops/cpu/parallel.h"

namespace timetrial::ops::cpu {

void round_to_bfloat16(const RoundToBfloat16& a) {
  float* x = a.x.data<float>();
  parallel_ranges(a.x.elements(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) x[i] = to_float(to_bfloat16(x[i]));
  });
}

}  // namespace timetrial::ops::cpu
