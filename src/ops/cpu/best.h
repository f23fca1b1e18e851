// The best few of many values, in descending order.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>

namespace timetrial::ops::cpu {

// Choices, groups and the like; arrays of this size live on the stack.
inline constexpr int64_t kMostChoices = 64;

// Keeps the `limit` best values offered, in memory of the caller's. An equal value never overtakes an earlier one; NaN
// ranks above every number, so that ids stay valid and the values show it.
template <class T>
class Best {
 public:
  Best(T* values, int32_t* ids, int64_t limit) : values_(values), ids_(ids), limit_(limit) {}

  void offer(T value, int32_t id) {
    if (count_ == limit_ && !above(value, values_[limit_ - 1])) return;
    int64_t place = count_ < limit_ ? count_++ : limit_ - 1;
    for (; place > 0 && above(value, values_[place - 1]); --place) {
      values_[place] = values_[place - 1];
      ids_[place] = ids_[place - 1];
    }
    values_[place] = value;
    ids_[place] = id;
  }

 private:
  static bool above(T a, T b) { return a > b || (std::isnan(a) && !std::isnan(b)); }

  T* values_;
  int32_t* ids_;
  int64_t limit_, count_ = 0;
};

}  // namespace timetrial::ops::cpu
