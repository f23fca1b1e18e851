// Dense peak rates of chips, from one table with its sources (src/config/chips.json).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "timetrial/base/dtype.h"

namespace timetrial {

struct ChipPeak {
  std::string chip;             // "H100 SXM"
  std::string precision;        // of the matrix products: "bf16", "fp32"
  double flops_per_second = 0;  // dense
  std::string source;
};

// The peak for matrix products on operands of this type. None for a name that the table does not hold exactly, or a
// precision it lacks: no utilisation is better than one against a guess. fp32 products stay off the tensor cores.
std::optional<ChipPeak> dense_peak(std::string_view device_name, DType operands);

}  // namespace timetrial
