// Python's view of JSON values.
// SPDX-License-Identifier: Apache-2.0
#include "mllog/python_value.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace timetrial::mllog {

std::optional<long double> number_of(const Json& value) {
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (value.is_number_unsigned()) return static_cast<long double>(value.get<uint64_t>());
  if (value.is_number_integer()) return static_cast<long double>(value.get<int64_t>());
  if (value.is_number_float()) return static_cast<long double>(value.get<double>());
  return std::nullopt;
}

std::optional<Number> python_number(const Json& value) {
  const std::optional<long double> number = number_of(value);
  return number ? std::optional(Number{*number, !value.is_number_float()}) : std::nullopt;
}

bool python_equal(const Json& a, const Json& b) {
  const auto x = number_of(a), y = number_of(b);
  if (x && y) return *x == *y || (std::isnan(*x) && std::isnan(*y));
  if (a.is_array() && b.is_array()) return std::equal(a.begin(), a.end(), b.begin(), b.end(), python_equal);
  if (a.is_object() && b.is_object()) {
    if (a.size() != b.size()) return false;
    for (const auto& [name, member] : a.items())
      if (!b.contains(name) || !python_equal(member, b[name])) return false;
    return true;
  }
  return a.type() == b.type() && a == b;  // texts, null
}

bool python_contains(const Json& metadata, const std::string& name) {
  if (metadata.is_object()) return metadata.contains(name);
  if (metadata.is_array()) return std::find(metadata.begin(), metadata.end(), Json(name)) != metadata.end();
  return metadata.is_string() && metadata.get_ref<const std::string&>().find(name) != std::string::npos;
}

}  // namespace timetrial::mllog
