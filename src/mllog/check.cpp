// check_log: reads, judges by the full rules, judges again by the scaled ones, and counts.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/mllog/check.h"

#include <algorithm>
#include <set>

#include "mllog/remarks.h"
#include "mllog/rule_engine.h"
#include "mllog/scaling.h"
#include "timetrial/base/error.h"
#include "timetrial/mllog/reader.h"

namespace timetrial::mllog {

namespace {

constexpr size_t kMostBadLines = 20;

void add_bad_lines(const Log& log, std::vector<Finding>& errors) {
  for (size_t i = 0; i < std::min(log.bad_lines.size(), kMostBadLines); ++i)
    errors.push_back({Severity::error, "log", log.bad_lines[i].line, "each record can be read", log.bad_lines[i].what,
                      "correct the line, or find what wrote it"});
  if (log.bad_lines.size() > kMostBadLines)
    errors.push_back({Severity::error, "log", log.bad_lines.back().line, "each record can be read",
                      fmt::format("{} more unreadable records up to here", log.bad_lines.size() - kMostBadLines),
                      "find what wrote them"});
  if (log.records.empty())
    errors.push_back({Severity::error, "log", 0, "the log holds records",
                      fmt::format("no readable record in {} lines", log.lines), "check that this is an MLPerf log"});
}

std::string logged_text(const std::vector<Record>& records, std::string_view key) {
  for (const Record& record : records)
    if (record.key == key && record.value.is_string()) return record.value.get<std::string>();
  return {};
}

CheckCounts count(const Judgement& judgement, const CheckReport& report) {
  std::set<std::string> failing;
  for (const Finding& finding : report.errors) failing.insert(finding.key);
  std::set<std::string> scaled;
  for (const ScaledFinding& finding : report.scaled) scaled.insert(finding.key);
  CheckCounts counts;
  for (const auto& [key, records] : judgement.seen) {
    if (failing.count(key) == 1) continue;
    if (scaled.count(key) == 1) {
      ++counts.scaled;
    } else if (records == 0) {
      ++counts.absent;
    } else {
      ++counts.passed;
    }
  }
  // Findings on the whole log and on alternatives of keys are failures too.
  counts.failed = static_cast<int64_t>(failing.size());
  return counts;
}

void by_line(std::vector<Finding>& findings) {
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.line < b.line; });
}

void refuse_missing_rules(const std::string& path, const Judgement& judgement, const Ruleset& ruleset) {
  if (judgement.missing_rules.empty()) return;
  throw DataError(path, fmt::format("asks for the rules {} of ruleset {}, which this program does not have; use the "
                                    "official checker for this log",
                                    judgement.missing_rules, ruleset.version));
}

}  // namespace

CheckReport check_log(const std::string& path, const CheckOptions& options) {
  const Ruleset ruleset = load_ruleset(options.ruleset);
  const Log log = read_log(path);
  if (log.records.empty() && log.bad_lines.empty() && log.has_nul)
    throw DataError(path, "holds binary data and no record; name the log itself, e.g. result_0.txt");

  CheckReport report;
  report.path = path;
  report.ruleset = options.ruleset;
  report.records = static_cast<int64_t>(log.records.size());
  report.benchmark = logged_text(log.records, "submission_benchmark");
  report.division = logged_text(log.records, "submission_division");
  report.finished = std::any_of(log.records.begin(), log.records.end(),
                                [](const Record& record) { return record.key == "run_stop"; });
  if (!log.records.empty()) {
    report.last_key = log.records.back().key;
    report.last_line = log.records.back().line;
  }
  add_bad_lines(log, report.errors);

  report.scaled_from_log = !options.scaled.has_value();
  const std::vector<ScaledCheck> scaled = options.scaled ? *options.scaled : declared_in(log.records, report.errors);
  const Judgement full = apply_rules(log.records, ruleset);
  refuse_missing_rules(path, full, ruleset);
  const std::vector<Finding> misdeclared = judge_declarations(scaled, full, report.scaled);
  report.errors.insert(report.errors.end(), misdeclared.begin(), misdeclared.end());

  // What is scaled rightly is judged by its declaration, everything else by the full rules.
  std::vector<ScaledCheck> accepted;
  for (const ScaledFinding& finding : report.scaled)
    accepted.push_back({finding.key, finding.description, finding.expected});
  const Ruleset scaled_ruleset = scale(ruleset, accepted);
  const Judgement judgement = apply_rules(log.records, scaled_ruleset);
  for (const auto& [key, finding] : judgement.errors) report.errors.push_back(finding);
  report.errors.insert(report.errors.end(), judgement.lasting.begin(), judgement.lasting.end());
  for (const auto& [key, finding] : judgement.warnings) report.warnings.push_back(finding);

  std::optional<double> interval;
  for (const RuleFile* file : full.applied)
    if (file->evaluate_every_samples && report.scaled.empty()) interval = file->evaluate_every_samples;
  report.remarks = remarks_on(log.records, interval);
  report.counts = count(judgement, report);
  by_line(report.errors);
  by_line(report.warnings);
  by_line(report.remarks);
  return report;
}

}  // namespace timetrial::mllog
