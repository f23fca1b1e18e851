// Two clocks: monotonic seconds for durations, Unix milliseconds for log records.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace timetrial {

// Seconds on the monotonic clock; only differences mean something.
double monotonic_seconds();

// Milliseconds since 1970-01-01 UTC on the system's clock, the unit of MLPerf log records.
int64_t unix_milliseconds();

}  // namespace timetrial
