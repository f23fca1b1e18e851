// Time stamps as Python's float() takes them from JSON.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

namespace timetrial::mllog {

struct TimeStamp {
  std::optional<double> milliseconds;  // nothing: no number
  bool official_dies = false;          // the official parser ends in an exception that it does not catch
};

// `scanned` is the JSON text of time_ms, as scan_record found it. Numbers, truth values (1, 0), and texts with blanks
// around them, a sign, single underscores between digits, "nan", "inf" and "infinity" in any case. Digits of other
// scripts than Latin are no number here. An integer beyond the double range is none either.
TimeStamp time_of(std::string_view scanned);

}  // namespace timetrial::mllog
