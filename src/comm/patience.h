// Patience: how long a rank has waited, not counting time in which the whole process stood still.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>

namespace timetrial::comm {

// Seconds as asio's timers and condition variables want them.
inline std::chrono::steady_clock::duration duration_of(double seconds) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds));
}

// A process that was stopped (a debugger, a suspended virtual machine, SIGSTOP) must not blame its peers when it goes
// on: each look adds at most kSlice to what counts as waited.
class Patience {
 public:
  explicit Patience(double seconds) : left_(seconds) {}

  static constexpr double kSlice = 0.25;  // seconds; look at least this often

  // Seconds to sleep before the next look.
  std::chrono::duration<double> slice() const { return std::chrono::duration<double>(std::clamp(left_, 0.0, kSlice)); }

  // True once the seconds are used up.
  bool over() {
    const auto now = std::chrono::steady_clock::now();
    left_ -= std::min(std::chrono::duration<double>(now - last_).count(), 2 * kSlice);
    last_ = now;
    return left_ <= 0;
  }

 private:
  double left_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace timetrial::comm
