// Sums and maxima in long double, which holds every value of every type.
// SPDX-License-Identifier: Apache-2.0
#include "emulation/nccl_sums.h"

#include <cuda_bf16.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>

namespace timetrial::emulation {

namespace {

using Wide = long double;

template <class T>
Wide widen(T value) {
  return static_cast<Wide>(value);
}
Wide widen(__nv_bfloat16 value) { return static_cast<Wide>(__bfloat162float(value)); }

template <class T>
T narrow(Wide value) {
  return static_cast<T>(value);
}
template <>
__nv_bfloat16 narrow<__nv_bfloat16>(Wide value) {
  return __float2bfloat16_rn(static_cast<float>(value));
}

template <class T>
std::vector<std::byte> combine(const std::vector<const std::byte*>& inputs, size_t count, ncclRedOp_t operation) {
  std::vector<std::byte> result(count * sizeof(T));
  for (size_t i = 0; i < count; ++i) {
    Wide value = 0;
    for (size_t input = 0; input < inputs.size(); ++input) {
      T element;
      std::memcpy(&element, inputs[input] + i * sizeof(T), sizeof(T));
      if (input == 0)
        value = widen(element);
      else
        value = operation == ncclSum ? value + widen(element) : std::max(value, widen(element));
    }
    const T rounded = narrow<T>(value);
    std::memcpy(result.data() + i * sizeof(T), &rounded, sizeof(T));
  }
  return result;
}

}  // namespace

size_t bytes_of(ncclDataType_t type) {
  switch (type) {
    case ncclBfloat16:
      return 2;
    case ncclInt32:
    case ncclFloat32:
      return 4;
    case ncclInt64:
    case ncclFloat64:
      return 8;
  }
  throw std::logic_error("unknown element type");
}

std::vector<std::byte> combined(const std::vector<const std::byte*>& inputs, size_t count, ncclDataType_t type,
                                ncclRedOp_t operation) {
  switch (type) {
    case ncclBfloat16:
      return combine<__nv_bfloat16>(inputs, count, operation);
    case ncclInt32:
      return combine<int32_t>(inputs, count, operation);
    case ncclFloat32:
      return combine<float>(inputs, count, operation);
    case ncclInt64:
      return combine<int64_t>(inputs, count, operation);
    case ncclFloat64:
      return combine<double>(inputs, count, operation);
  }
  throw std::logic_error("unknown element type");
}

}  // namespace timetrial::emulation
