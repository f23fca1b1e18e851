// Element types of tensors and their names.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace timetrial {

enum class DType : uint8_t { f32, f64, bf16, i32, i64 };

// Storage of one bf16 value; arithmetic happens in fp32.
struct bfloat16 {
  uint16_t bits;
};

size_t size_of(DType type);            // bytes per element
std::string_view name_of(DType type);  // "f32", "bf16", ...

// The official name in MLPerf logs: "fp32", "fp64", "bfloat16". Only floating types have one.
std::string_view mllog_name_of(DType type);

template <class T>
struct dtype_of;
template <>
struct dtype_of<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct dtype_of<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct dtype_of<bfloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct dtype_of<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct dtype_of<int64_t> {
  static constexpr DType value = DType::i64;
};

}  // namespace timetrial
