// Checks that several op fronts make of a tensor.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

struct Expected {
  std::string_view op, name;
  DType dtype;
  Shape shape;
};
inline void check_tensor(const Tensor& tensor, const Expected& x) {
  TIMETRIAL_CHECK(tensor.dtype() == x.dtype && tensor.shape() == x.shape, "{}: {} is {} {}, expected {} {}", x.op,
                  x.name, name_of(tensor.dtype()), tensor.shape(), name_of(x.dtype), x.shape);
}

// What stays fp32 beside bf16: gates, statistics, tables, gradients accumulated over micro batches.
inline DType wide(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

}  // namespace timetrial::ops
