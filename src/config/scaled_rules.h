// Which official rules a run does not keep: found by comparing it with the full benchmark, so nothing is listed twice.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "layers.h"

namespace timetrial::config {

// Of the rules that limit a value in the run's division. `free`: the run's values of keys the benchmark leaves free;
// the full benchmark is taken with the same ones.
std::vector<ScaledRule> scaled_rules(const std::vector<Field>& fields, const Json& benchmark, const RunConfig& run,
                                     const Values& free);

}  // namespace timetrial::config
