// Sizes and names of element types.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/base/dtype.h"

#include "timetrial/base/error.h"

namespace timetrial {

size_t size_of(DType type) {
  switch (type) {
    case DType::f32:
      return 4;
    case DType::f64:
      return 8;
    case DType::bf16:
      return 2;
    case DType::i32:
      return 4;
    case DType::i64:
      return 8;
  }
  throw Error("unknown element type");
}

std::string_view name_of(DType type) {
  switch (type) {
    case DType::f32:
      return "f32";
    case DType::f64:
      return "f64";
    case DType::bf16:
      return "bf16";
    case DType::i32:
      return "i32";
    case DType::i64:
      return "i64";
  }
  throw Error("unknown element type");
}

std::string_view mllog_name_of(DType type) {
  switch (type) {
    case DType::f32:
      return "fp32";
    case DType::f64:
      return "fp64";
    case DType::bf16:
      return "bfloat16";
    case DType::i32:
    case DType::i64:
      break;
  }
  throw Error(fmt::format("{} is no floating type", name_of(type)));
}

}  // namespace timetrial
