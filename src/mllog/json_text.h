// JSON as Python's json.dumps writes it, so that logs look the same whoever wrote them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "timetrial/base/json.h"

namespace timetrial::mllog {

// Appends `value` with ", " and ": " as separators, ASCII only, doubles in their shortest form that reads back equal
// (always with a point or an exponent), NaN, Infinity and -Infinity bare. Invalid UTF-8 becomes U+FFFD.
void append_json(std::string& out, const Json& value);

// Appends `text` as a quoted, escaped JSON string.
void append_json_string(std::string& out, std::string_view text);

// append_json as a value.
std::string json_text(const Json& value);

}  // namespace timetrial::mllog
