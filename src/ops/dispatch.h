// How an op front picks its implementation: by the stream's device, then by element type.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <string_view>
#include <utility>

#include "timetrial/base/build.h"
#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

// Throws Error unless every given (non-empty) tensor lives on the stream's device.
void check_devices(std::string_view op, std::initializer_list<Tensor> tensors, StreamRef stream);

[[noreturn]] void throw_without_cuda(std::string_view op);    // a CPU build was asked for a CUDA op
[[noreturn]] void throw_no_cuda_kernel(std::string_view op);  // the op has no CUDA implementation

// Calls f.operator()<float>() or <double>().
template <class F>
void visit_float(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return std::forward<F>(f).template operator()<float>();
    case DType::f64:
      return std::forward<F>(f).template operator()<double>();
    case DType::bf16:
      throw Error("bf16 is storage alone: see ops/on_cpu.h");
    case DType::i32:
    case DType::i64:
      break;
  }
  throw Error(fmt::format("{} is no floating type", name_of(dtype)));
}

}  // namespace timetrial::ops
