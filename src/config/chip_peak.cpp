// Looks chips up in the table that the program carries.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/chip_peak.h"

#include <nlohmann/json.hpp>

#include "timetrial/base/error.h"
#include "timetrial/base/json.h"

namespace timetrial {

namespace embedded {
extern const std::string_view chips;
}

namespace {

// Columns of the table; empty for what no matrix product here runs on.
std::string_view column_of(DType operands) {
  switch (operands) {
    case DType::f32:
      return "fp32";
    case DType::bf16:
      return "bf16";
    case DType::f64:
    case DType::i32:
    case DType::i64:
      return "";
  }
  throw Error("unknown type");
}

}  // namespace

std::optional<ChipPeak> dense_peak(std::string_view device_name, DType operands) {
  const Json table = parse_json(embedded::chips, "src/config/chips.json");
  const std::string column{column_of(operands)};
  for (const Json& chip : table.at("chips")) {
    for (const Json& name : chip.at("names")) {
      if (name.get<std::string>() != device_name) continue;
      const Json& rates = chip.at("dense_tflops");
      const auto rate = rates.find(column);
      if (rate == rates.end()) return std::nullopt;
      return ChipPeak{.chip = chip.at("chip").get<std::string>(),
                      .precision = column,
                      .flops_per_second = rate->get<double>() * 1e12,
                      .source = chip.at("source").get<std::string>()};
    }
  }
  return std::nullopt;
}

}  // namespace timetrial
