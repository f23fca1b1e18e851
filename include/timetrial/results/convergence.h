// The convergence check: did these runs reach the target suspiciously fast, and by what is their score scaled?
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "timetrial/results/convergence_reading.h"
#include "timetrial/results/reference_points.h"

namespace timetrial::results {

enum class ConvergenceCase {
  found,         // the reference has a point at this batch size
  interpolated,  // between two points
  below,         // smaller than every point's batch size
  above,         // larger than every point's
  unconverged,   // more than one run missed the target
  no_batch,      // no log names its batch size
  unusable,      // the logs contradict each other, or the check cannot be made; the official program crashes here
};

struct ConvergenceVerdict {
  ConvergenceCase which = ConvergenceCase::unusable;
  bool passed = false;
  bool bypassed = false;                // passed only because the bypass was asked for
  double factor = 1;                    // reference mean / submission mean, at least 1; NaN: no mean
  bool scaled = false;                  // passed, and faster than the reference: the score is multiplied by factor
  std::optional<ReferencePoint> point;  // what was compared with
  double submission_mean = 0;           // without fastest and slowest; NaN for fewer than three runs
  double limit = 0;                     // lowest mean that passes, allowance included
  double batch = 0;
  std::string unit = "samples";
  std::string message;      // the official checker's own, word for word; empty where that program crashes
  std::string explanation;  // the same in a sentence or two, with the figures
};

struct ConvergenceOptions {
  std::string ruleset = "6.0.0";
  bool bypass = false;
};

// Judges a folder's readings, in the order of the file names, as `rcp_checker` with pruned points does (rules
// digest 3.2, 3.3): same verdict, message and factor. Where that program crashes the verdict is a failed `unusable`
// one. `names` are for the explanation. Throws UserError for an unknown ruleset. Thread-safe.
ConvergenceVerdict judge_convergence(const std::vector<ConvergenceReading>& readings,
                                     const std::vector<std::string>& names, const ConvergenceOptions& options);

// The file the official package checker would write beside the logs, or nothing when it writes none.
std::optional<std::string> scaling_file_text(const ConvergenceVerdict& verdict);

}  // namespace timetrial::results
