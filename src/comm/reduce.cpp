// Blockwise sums and maxima in rank order; bf16 is summed in fp32 and rounded once.
// SPDX-License-Identifier: Apache-2.0
#include "comm/reduce.h"

#include <algorithm>

namespace timetrial::comm {

namespace {

constexpr int64_t kBlock = 1024;  // elements; the running result stays in the first-level cache

template <class T>
T widened(T value) {
  return value;
}
float widened(bfloat16 value) { return to_float(value); }

template <class T, class Wide>
T narrowed(Wide value) {
  return value;
}
template <>
bfloat16 narrowed<bfloat16, float>(float value) {
  return to_bfloat16(value);
}

template <class T>
void reduce_as(const Reduce& a) {
  using Wide = decltype(widened(T{}));
  Wide total[kBlock];
  for (int64_t begin = a.begin; begin < a.end; begin += kBlock) {
    const int64_t count = std::min(kBlock, a.end - begin);
    const T* first = static_cast<const T*>(a.inputs.front()) + begin;
    for (int64_t i = 0; i < count; ++i) total[i] = widened(first[i]);
    for (const void* input : a.inputs.subspan(1)) {
      const T* x = static_cast<const T*>(input) + begin;
      if (a.reduction == Reduction::sum) {
        for (int64_t i = 0; i < count; ++i) total[i] += widened(x[i]);
      } else {
        for (int64_t i = 0; i < count; ++i) total[i] = std::max(total[i], widened(x[i]));
      }
    }
    for (void* output : a.outputs) {
      T* y = static_cast<T*>(output) + begin;
      for (int64_t i = 0; i < count; ++i) y[i] = narrowed<T>(total[i]);
    }
  }
}

}  // namespace

void reduce(const Reduce& a) {
  switch (a.dtype) {
    case DType::f32:
      return reduce_as<float>(a);
    case DType::f64:
      return reduce_as<double>(a);
    case DType::bf16:
      return reduce_as<bfloat16>(a);
    case DType::i32:
      return reduce_as<int32_t>(a);
    case DType::i64:
      return reduce_as<int64_t>(a);
  }
}

}  // namespace timetrial::comm
