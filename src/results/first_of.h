// The first value that any run of a folder logged; where runs contradict each other, different_work says so.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "timetrial/results/score.h"

namespace timetrial::results {

inline std::string first_text(const std::vector<ScoredRun>& runs, std::string RunFacts::*field) {
  for (const ScoredRun& run : runs)
    if (!(run.facts.*field).empty()) return run.facts.*field;
  return {};
}

inline std::optional<double> first_number(const std::vector<ScoredRun>& runs, std::optional<double> RunFacts::*field) {
  for (const ScoredRun& run : runs)
    if (run.facts.*field) return run.facts.*field;
  return std::nullopt;
}

}  // namespace timetrial::results
