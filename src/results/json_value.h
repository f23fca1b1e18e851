// Between JSON and optional figures: what is no finite number is absent, what is absent is null.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "timetrial/base/json.h"

namespace timetrial::results {

inline std::optional<double> number_of(const Json& value) {
  if (!value.is_number() || !std::isfinite(value.get<double>())) return std::nullopt;
  return value.get<double>();
}

inline std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : std::string(); }

// Whole numbers print without a point.
inline Json json_of(const std::optional<double>& value) {
  if (!value || !std::isfinite(*value)) return {};
  const bool whole = *value == std::floor(*value) && std::abs(*value) < 9e15;
  return whole ? Json(static_cast<int64_t>(*value)) : Json(*value);
}

}  // namespace timetrial::results
