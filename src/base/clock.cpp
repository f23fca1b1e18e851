// The standard library's clocks in the units the project uses.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/base/clock.h"

#include <chrono>

namespace timetrial {

double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int64_t unix_milliseconds() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace timetrial
