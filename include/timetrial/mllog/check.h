// check_log: does a log hold the MLPerf rules, and which of them does it scale on purpose?
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "timetrial/base/json.h"
#include "timetrial/mllog/writer.h"

namespace timetrial::mllog {

enum class Severity { error, warning };

struct Finding {
  Severity severity = Severity::error;
  std::string key;   // log key; "a or b" where either would do; "log" for the file as a whole
  int64_t line = 0;  // of the last record concerned; 0: no record
  std::string rule;  // what was demanded, in words
  std::string found;
  std::string advice;  // what to do
};

// A rule of the full benchmark that a small variant changes on purpose (rules digest 2, the project's own convention).
// For the key eval_accuracy `expected` is the variant's target; for every other key the exact value that the log must
// hold.
struct ScaledCheck {
  std::string key;          // the official log key
  std::string description;  // what is scaled, for people: "sequence length"
  Json expected;
};

struct ScaledFinding {
  std::string key, description;
  Json expected;
  std::string full_rule;  // the official rule that the log does not hold, e.g. "equals 8192"
};

// The value of CheckOptions::ruleset that leaves the choice to the log: the ruleset of the round that its path names
// (a folder training_results_v5.1), else the newest one that knows the logged benchmark, else the newest.
inline constexpr std::string_view kAutomaticRuleset = "auto";

struct CheckOptions {
  std::string ruleset = "6.0.0";
  // Absent: the declarations in the log (log_scaled_rules) count. An empty list: nothing may be scaled.
  std::optional<std::vector<ScaledCheck>> scaled;
};

// Counts of keys that the applied rule files name; every ruled key is in exactly one of them.
struct CheckCounts {
  int64_t passed = 0, failed = 0, scaled = 0;
  int64_t absent = 0;  // optional keys that were not logged: nothing was checked, so not passed
};

// What MLPerf's own compliance_checker would do with the log as it is, scaled rules or not.
enum class OfficialOutcome { pass, fail, dies };

struct CheckReport {
  std::string path, ruleset;
  std::string ruleset_chosen_by;    // "option", "folder", "benchmark" or "default"
  std::string benchmark, division;  // as logged; empty when not
  std::string variant;              // kVariantKey (own_keys.h); empty when not logged, as by every other program
  // Another variant than the benchmark's own, or one that declares rules as scaled: no MLPerf result.
  bool small_variant = false;
  bool finished = false;  // the log holds run_stop
  std::string last_key;   // of the last readable record, and its line
  int64_t last_line = 0;
  int64_t records = 0;
  std::vector<Finding> errors, warnings;  // as the official checker draws the border; by line
  std::vector<Finding> remarks;           // this program's own: never part of the verdict
  std::vector<ScaledFinding> scaled;
  bool scaled_from_log = false;  // the declaration of what is scaled was the log's own
  CheckCounts counts;
  OfficialOutcome official = OfficialOutcome::fail;
  std::string official_dies_of;  // with OfficialOutcome::dies: why it ends without a verdict

  // No error. Neither scaled rules nor another variant make a log fail, but such a log is no MLPerf result.
  bool passed() const { return errors.empty(); }
  // One sentence: "pass: ...", "pass, 3 scaled: ...", "fail: ..." or "unfinished: ..."; what passes and is a small
  // variant says so (no_result).
  std::string verdict_sentence() const;
  // Schema "timetrial.check/1" (docs/cli/check.md); fields only get added under that name.
  Json to_json() const;
};

// Judges logs by the rules of one ruleset: the same errors and warnings, by key, as
// `mlperf_logging.compliance_checker --usage training` gives (rules digest 2.1), except that what makes that program
// die is an error here. For each scaled key the official rule must fail and the log must hold exactly what is declared;
// both a different value and a full rule that holds after all are errors.
class Checker {
 public:
  // Throws UserError for an unknown ruleset.
  explicit Checker(CheckOptions options = {});
  // Reads the log once, and once more if it declares scaled rules; memory does not grow with the log. Throws DataError
  // when the file cannot be used: missing, unreadable, a folder, binary without any record. Thread-safe.
  CheckReport check(const std::string& path) const;
  // The ruleset as asked for: a version, or kAutomaticRuleset.
  const std::string& ruleset() const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

// One log: Checker(options).check(path).
CheckReport check_log(const std::string& path, const CheckOptions& options = {});

// Versions of the rules that this program carries, oldest first.
std::vector<std::string> known_rulesets();

// The records by which a log declares what it scales: one per rule, key timetrial_scaled_rule, value
// {"key": ..., "description": ..., "expected": ...}. The names of kReservedWords may not stand in them (rules
// digest 3.1), so the key eval_accuracy is written "target" and global_batch_size "batch"; check_log turns them back.
// Throws UserError for a description that holds a reserved word.
inline constexpr std::string_view kScaledRuleKey = "timetrial_scaled_rule";
void log_scaled_rules(Writer& writer, const std::vector<ScaledCheck>& scaled);

}  // namespace timetrial::mllog
