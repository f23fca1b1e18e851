// JSON as Python's json module reads it, twice: a scan that only finds a record's fields, and a parser of their values.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "timetrial/base/json.h"

namespace timetrial::mllog {

// Arrays and objects inside each other, at most. Python's own parser gives up at about this depth.
inline constexpr int kDeepestNesting = 981;

// The JSON text of a record's fields; of duplicate fields the last. A field that is not there has no data().
struct RecordText {
  std::string_view time_ms, event_type, key, value, metadata;
};

enum class ScanResult { object, null, other_value, not_json, too_deep };

// Checks all of `text` against the grammar and finds the fields, in one pass and without taking memory. Accepted and
// refused is what Python's json.loads of Latin-1 text accepts and refuses: NaN, Infinity and -Infinity are numbers,
// control characters may not stand in strings, integers have at most 4300 digits.
ScanResult scan_record(std::string_view text, RecordText& fields);

// The value of a piece of text that scan_record has found. Integers beyond 64 bits become doubles, numbers beyond the
// double range infinities. A string that is no UTF-8 counts as Latin-1; a surrogate without its pair is kept as the
// three bytes that UTF-8 would give it.
Json parse_scanned(std::string_view text);

// The text of a scanned string if it can be had without decoding: no escape in it, ASCII only.
std::optional<std::string_view> plain_string(std::string_view text);

}  // namespace timetrial::mllog
