// bf16 storage to fp32 and back.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/bf16.h"

#include "ops/cpu/parallel.h"

namespace timetrial::ops::cpu {

void widen(const Tensor& to, const Tensor& from) {
  const bfloat16* source = from.data<bfloat16>();
  float* target = to.data<float>();
  parallel_ranges(from.elements(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) target[i] = to_float(source[i]);
  });
}

void narrow(const Tensor& to, const Tensor& from) {
  const float* source = from.data<float>();
  bfloat16* target = to.data<bfloat16>();
  parallel_ranges(to.elements(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) target[i] = to_bfloat16(source[i]);
  });
}

}  // namespace timetrial::ops::cpu
