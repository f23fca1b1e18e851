// Reading one JSON value as the type a field has, with errors that say what is allowed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace timetrial::config {

using Json = nlohmann::json;

struct WholeRange {
  int64_t low, high;  // both allowed
};

struct RealRange {
  double low, high;
  bool low_open = false, high_open = false;  // open: the end itself is not allowed
};

std::string text_of(const WholeRange& range);  // "0 to 9"
std::string text_of(const RealRange& range);   // "above 0 to 1"

// Each throws ConfigError with `path` for another type or a value outside the range. A whole number may be written as a
// real one (1e6), when it is exact.
int64_t read_whole(const Json& value, const WholeRange& range, const std::string& path);
double read_real(const Json& value, const RealRange& range, const std::string& path);
bool read_flag(const Json& value, const std::string& path);
// Index into names.
size_t read_choice(const Json& value, const std::vector<std::string>& names, const std::string& path);
// Refuses control characters, text that is not UTF-8, and words that readers of result logs search for in any line.
std::string read_text(const Json& value, bool may_be_empty, const std::string& path);
// One text or a list of at least one; a text that begins with [ is read as such a list.
std::vector<std::string> read_texts(const Json& value, const std::string& path);
// A list of numbers inside the range; it may be empty.
std::vector<double> read_reals(const Json& value, const RealRange& range, const std::string& path);
void require_loggable(const std::string& text, const std::string& path);

// The value as one short ASCII line for an error message.
std::string shown(const Json& value);
std::string shown_key(const std::string& key);

}  // namespace timetrial::config
