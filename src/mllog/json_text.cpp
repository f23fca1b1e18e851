// Python's json.dumps format: separators with spaces, shortest doubles, bare NaN and Infinity.
// SPDX-License-Identifier: Apache-2.0
#include "mllog/json_text.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

namespace timetrial::mllog {

namespace {

void append_double(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "Infinity" : "-Infinity";
  } else {
    const size_t start = out.size();
    fmt::format_to(std::back_inserter(out), "{}", value);
    // A double stays a double for readers that tell 1 from 1.0.
    if (out.find_first_of(".e", start) == std::string::npos) out += ".0";
  }
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += Json(text).dump(-1, ' ', true, Json::error_handler_t::replace);
}

void append_json(std::string& out, const Json& value) {
  if (value.is_object()) {
    out += '{';
    const char* separator = "";
    for (const auto& [name, member] : value.items()) {
      out += separator;
      append_json_string(out, name);
      out += ": ";
      append_json(out, member);
      separator = ", ";
    }
    out += '}';
  } else if (value.is_array()) {
    out += '[';
    const char* separator = "";
    for (const Json& member : value) {
      out += separator;
      append_json(out, member);
      separator = ", ";
    }
    out += ']';
  } else if (value.is_number_float()) {
    append_double(out, value.get<double>());
  } else {
    out += value.dump(-1, ' ', true, Json::error_handler_t::replace);
  }
}

std::string json_text(const Json& value) {
  std::string out;
  append_json(out, value);
  return out;
}

}  // namespace timetrial::mllog
