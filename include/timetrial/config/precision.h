// LowestPrecision: what a run's log says under MLPerf's keys for the narrowest numbers it uses.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/config/run_config.h"

namespace timetrial {

// The narrowest types that operands of products, operands of attention, and what ranks send each other are stored in;
// sums are wider. Weights travel as the model holds them, gradients as train.gradient_storage says.
struct LowestPrecision {
  DType linear, attention, communication;
};
LowestPrecision lowest_precision(const RunConfig& config);

}  // namespace timetrial
