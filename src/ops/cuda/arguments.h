// From tensors to what kernels take: raw pointers, and types that kernels are built for.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <string_view>

#include "ops/cuda/sum_scratch.h"
#include "timetrial/tensor/tensor.h"

namespace timetrial::ops::cuda {

// Throws Error for anything but f32 and bf16.
inline void check_storage(std::string_view op, std::initializer_list<DType> types) {
  for (const DType type : types)
    if (type != DType::f32 && type != DType::bf16)
      throw Error(fmt::format("{}: {} storage on CUDA is not built", op, name_of(type)));
}

inline SumScratch scratch_of(const Tensor& workspace) {
  if (!workspace) return {};
  return {workspace.raw(), static_cast<int64_t>(workspace.bytes())};
}

// The data of an optional fp32 tensor; null when it is absent.
inline float* floats_of(const Tensor& tensor) { return tensor ? tensor.data<float>() : nullptr; }

}  // namespace timetrial::ops::cuda
