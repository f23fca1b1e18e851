// Shape: the extents of a tensor, up to four dimensions, row-major.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace timetrial {

class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;
  // Throws Error for more than four dimensions or a negative extent.
  Shape(std::initializer_list<int64_t> dims);

  int rank() const { return rank_; }
  int64_t operator[](int i) const;  // Throws Error when i is out of range.
  int64_t elements() const;         // 1 for rank 0.
  bool operator==(const Shape&) const = default;
  std::string text() const;  // "(4, 128)"

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

}  // namespace timetrial

template <>
struct fmt::formatter<timetrial::Shape> : fmt::formatter<std::string> {
  template <class Context>
  auto format(const timetrial::Shape& shape, Context& context) const {
    return fmt::formatter<std::string>::format(shape.text(), context);
  }
};
