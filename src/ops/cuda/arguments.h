// From tensors to what kernels take: raw pointers, and types that kernels are built for.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <string_view>

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops::cuda {

// Throws Error for anything but f32 and bf16.
inline void check_storage(std::string_view op, std::initializer_list<DType> types) {
  for (const DType type : types)
    if (type != DType::f32 && type != DType::bf16)
      throw Error(fmt::format("{}: {} storage on CUDA is not built", op, name_of(type)));
}

}  // namespace timetrial::ops::cuda
