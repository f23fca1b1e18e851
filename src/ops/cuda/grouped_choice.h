// Which kernels a grouped product runs on: the chip's own, or the plain ones that take anything. No CUDA in here.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>

#include "timetrial/ops/grouped_matmul.h"

namespace timetrial::ops::cuda {

enum class GroupedChip { any, hopper, blackwell };

struct ComputeCapability {
  int major, minor;
};

// The generation whose kernels this device runs and this build has.
constexpr GroupedChip grouped_chip(ComputeCapability device, bool has_hopper, bool has_blackwell) {
  if (has_hopper && device.major == 9 && device.minor == 0) return GroupedChip::hopper;
  if (has_blackwell && device.major == 10) return GroupedChip::blackwell;
  return GroupedChip::any;
}

// The bulk copies of these chips want rows that begin at multiples of 16 bytes: 8 bf16 elements.
inline constexpr int64_t kBulkBytes = 16;
inline bool begins_with_bulk(std::initializer_list<Tensor> tensors) {
  for (const Tensor& tensor : tensors)
    if (tensor && reinterpret_cast<uintptr_t>(tensor.raw()) % kBulkBytes != 0) return false;
  return true;
}
constexpr bool rows_of_bulk(int64_t elements) { return elements > 0 && elements % (kBulkBytes / 2) == 0; }

inline bool fits_chip_kernels(const GroupedMatmul& a) {
  return a.kernels == GroupedKernels::best && a.a.dtype() == DType::bf16 && rows_of_bulk(a.c.dim(1)) &&
         rows_of_bulk(a.a.dim(1)) && begins_with_bulk({a.c, a.a, a.b, a.bias});
}
inline bool fits_chip_kernels(const GroupedMatmulBackwardWeight& a) {
  return a.kernels == GroupedKernels::best && a.a.dtype() == DType::bf16 && a.d_weight.dtype() == DType::f32 &&
         rows_of_bulk(a.d_c.dim(1)) && rows_of_bulk(a.a.dim(1)) && begins_with_bulk({a.d_weight, a.d_c, a.a});
}

}  // namespace timetrial::ops::cuda
