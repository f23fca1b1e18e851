// Remarks: what a reviewer would ask about although no rule of the checker forbids it. Few, and only where sure.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "timetrial/mllog/check.h"
#include "timetrial/mllog/reader.h"

namespace timetrial::mllog {

// `evaluate_every_samples`: the benchmark's evaluation interval before rounding up to whole batches; nothing when
// unknown or scaled.
std::vector<Finding> remarks_on(const std::vector<Record>& records, std::optional<double> evaluate_every_samples);

}  // namespace timetrial::mllog
