// Shape's checks, size and text.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/base/shape.h"

#include "timetrial/base/error.h"

namespace timetrial {

Shape::Shape(std::initializer_list<int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  TIMETRIAL_CHECK(rank_ <= kMaxRank, "{} dimensions", rank_);
  int i = 0;
  for (int64_t dim : dims) {
    TIMETRIAL_CHECK(dim >= 0, "extent {} is {}", i, dim);
    dims_[i++] = dim;
  }
}

int64_t Shape::operator[](int i) const {
  TIMETRIAL_CHECK(i >= 0 && i < rank_, "dimension {} of {}", i, text());
  return dims_[i];
}

int64_t Shape::elements() const {
  int64_t count = 1;
  for (int i = 0; i < rank_; ++i) count *= dims_[i];
  return count;
}

std::string Shape::text() const {
  std::string result = "(";
  for (int i = 0; i < rank_; ++i) result += (i ? ", " : "") + std::to_string(dims_[i]);
  return result + ")";
}

}  // namespace timetrial
