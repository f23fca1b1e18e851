// Reference convergence points: after how many samples the reference reached its target, and what that allows others.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "timetrial/base/json.h"

namespace timetrial::results {

struct ReferencePoint {
  double batch = 0;      // samples per step
  double mean = 0;       // samples or epochs to the target, without fastest and slowest run
  double deviation = 0;  // population standard deviation over all runs
  double minimum = 0;    // lowest mean of a submission that passes, before the benchmark's allowance
  int runs = 0;          // of the reference; 0: interpolated
  bool pruned = false;   // set aside: its neighbours converge faster than it lets expect
  std::string name, source;
};

struct ReferencePoints {
  std::string ruleset, benchmark, source;
  std::string unit;                    // "samples" or "epochs"
  int runs_required = 0;               // of a submission
  double allowance = 0;                // units by which a submission's mean may lie below `minimum`
  std::vector<ReferencePoint> points;  // by batch size, the pruned ones too
};

// The rulesets with reference points, oldest first: 5.1.0, 6.0.0.
const std::vector<std::string>& rulesets();
// The benchmarks of a ruleset that have points. Throws UserError for a ruleset that is not one of rulesets().
std::vector<std::string> reference_benchmarks(std::string_view ruleset);

// Points of a benchmark with their statistics and pruning (rules digest 3.2); nothing when the ruleset has none for it.
// Throws UserError for an unknown ruleset.
std::optional<ReferencePoints> reference_points(std::string_view ruleset, std::string_view benchmark);

// The same from a JSON document of schema timetrial.reference_points/1; `origin` names it in errors. Throws UserError
// for anything else than that schema, a batch size or count that is no positive number, or fewer than 2 x runs values.
std::optional<ReferencePoints> parse_reference_points(const Json& document, std::string_view benchmark,
                                                      const std::string& origin);

// The point between two others: mean and deviation linear in the batch size, the minimum from its own t-test.
ReferencePoint interpolate(const ReferencePoint& low, const ReferencePoint& high, double batch, int runs_required);

}  // namespace timetrial::results
