// The median of a window of steps.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/step_deadline.h"

#include <algorithm>

namespace timetrial {

void StepDeadline::add(double step_seconds) {
  if (steps_.size() < kWindow) return steps_.push_back(step_seconds);
  steps_[next_] = step_seconds;
  next_ = (next_ + 1) % kWindow;
}

double StepDeadline::seconds() const {
  if (steps_.empty()) return init_;
  std::vector<double> sorted = steps_;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return std::max(least_, kMedians * *middle);
}

}  // namespace timetrial
