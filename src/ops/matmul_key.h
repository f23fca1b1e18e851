// MatmulKey: everything about a product that decides which kernel a library takes for it, and nothing else.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "timetrial/ops/matmul.h"

namespace timetrial::ops {

// The largest power of two up to 256 that divides an address: libraries choose kernels by it. 256 for no tensor.
inline uint32_t alignment_of(const Tensor& tensor) {
  const auto address = reinterpret_cast<uintptr_t>(tensor.raw());
  return address == 0 ? 256u : static_cast<uint32_t>(std::min<uintptr_t>(address & (~address + 1), 256));
}

// Device, sizes, types, transposes, extra outputs, alignments, workspace. Two calls that differ in addresses alone
// share a key.
using MatmulKey = std::array<int64_t, 14>;

inline MatmulKey key_of(const Matmul& a) {
  return {a.c.device().index,
          a.a.dim(0),
          a.a.dim(1),
          a.c.dim(0),
          a.c.dim(1),
          static_cast<int64_t>(a.a.dtype()),
          static_cast<int64_t>(a.c.dtype()),
          (a.transpose_a ? 1 : 0) | (a.transpose_b ? 2 : 0) | (a.accumulate ? 4 : 0) | (a.bias ? 8 : 0) |
              (a.d_bias ? 16 : 0),
          a.d_bias ? static_cast<int64_t>(a.d_bias.dtype()) : -1,
          alignment_of(a.a),
          alignment_of(a.b),
          alignment_of(a.c),
          alignment_of(a.bias),
          a.workspace ? static_cast<int64_t>(a.workspace.bytes()) : 0};
}

}  // namespace timetrial::ops
