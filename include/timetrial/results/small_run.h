// Small variants: after how many samples they usually reach their target, and whether a run did.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "timetrial/base/json.h"

namespace timetrial::results {

// Reference convergence points of one variant and form of a workload (workloads/<name>/convergence.json), and the
// interval in which one more sound run lies 99 times of 100: mean -+ t(0.995, n - 1) s sqrt(1 + 1/n), Student's t,
// s the sample deviation of the n points.
struct SmallRunPoints {
  std::string workload, variant, form, source;
  Json settings;  // config key -> value: what these runs had of what a run may change and keep the variant's name
  std::vector<double> samples;  // to target, one per seed
  double mean = 0, deviation = 0;
  double lowest = 0, highest = 0;
};

// Nothing where the workload has no points for this variant and form.
std::optional<SmallRunPoints> small_run_points(std::string_view workload, std::string_view variant,
                                               std::string_view form);

// The same from a document of schema timetrial.convergence/1; `origin` names it in errors. Throws UserError for another
// schema, fewer than five points, no settings, or a count that is no positive number.
std::optional<SmallRunPoints> parse_small_run_points(const Json& document, std::string_view variant,
                                                     std::string_view form, const std::string& origin);

// other_settings: nothing can be expected of the run, because it had other settings than the reference runs.
enum class SmallRunVerdict { as_expected, too_early, too_late, missed, other_settings };

struct SmallRunJudgement {
  SmallRunVerdict verdict = SmallRunVerdict::missed;
  double samples = 0;  // at the last evaluation
  SmallRunPoints points;
  std::string difference = {};  // "train.learning_rate is 0.0007 in place of 0.006"

  bool odd() const { return verdict != SmallRunVerdict::as_expected && verdict != SmallRunVerdict::other_settings; }

  // "converges as expected: 10240 samples, 20 reference runs say 9000 to 12000".
  std::string sentence() const;
  Json to_json() const;
};

// Judges a finished log of this program's by the points of its workload, variant and form; nothing for any other log:
// unfinished, interrupted, a variant without points or changed beyond its name ("custom"). Throws DataError when the
// file cannot be read. Thread-safe.
std::optional<SmallRunJudgement> judge_small_run(const std::string& log);

}  // namespace timetrial::results
