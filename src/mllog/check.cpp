// Checker: one pass feeds the judge and the remarks; a second one judges by what the log declares as scaled.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/mllog/check.h"

#include <algorithm>
#include <set>

#include "mllog/check_record.h"
#include "mllog/remarks.h"
#include "mllog/rule_engine.h"
#include "mllog/ruleset_choice.h"
#include "mllog/scaling.h"
#include "timetrial/base/error.h"
#include "timetrial/mllog/own_keys.h"
#include "timetrial/mllog/reader.h"

namespace timetrial::mllog {

namespace {

constexpr size_t kMostBadLines = 20;
constexpr size_t kMostDeclarations = 1000;

// Everything that one pass over a log finds out.
class FirstPass : public LogVisitor {
 public:
  FirstPass(const RulesetChoice& choice, const RuleIndex& index) : choice_(choice), judge_(index) {}

  Interest header(const RecordHeader& header) override {
    if (other_ruleset_) return Interest::stop;
    ++records;
    last_key = header.key;
    last_line = header.line;
    finished = finished || header.key == "run_stop";
    remarks.see(header);
    const bool wanted = judge_.wants(header.key) || RemarkCollector::wants(header.key) ||
                        header.key == kScaledRuleKey || header.key == kVariantKey;
    return wanted ? Interest::take : Interest::skip;
  }

  void record(Record&& record) override {
    if (benchmark.empty() && record.key == "submission_benchmark" && record.value.is_string()) {
      benchmark = record.value.get<std::string>();
      other_ruleset_ = choice_.better_for(benchmark);
    }
    if (division.empty() && record.key == "submission_division" && record.value.is_string())
      division = record.value.get<std::string>();
    if (record.key == kVariantKey && !other_variant) {
      other_variant = record.value != kFullVariant;
      variant = record.value.is_string() ? record.value.get<std::string>() : excerpt(record.value);
    }
    judge_.add(record);
    if (RemarkCollector::wants(record.key)) remarks.add(record);
    if (record.key == kScaledRuleKey && declarations.size() <= kMostDeclarations)
      declarations.push_back(std::move(record));
  }

  void bad_line(BadLine&& line) override {
    ++bad_lines;
    if (line.official_dies && official_dies_of.empty())
      official_dies_of = fmt::format("line {}: {}", line.line, line.what);
    last_bad_line = line.line;
    if (first_bad_lines.size() < kMostBadLines) first_bad_lines.push_back(std::move(line));
  }

  // The ruleset to start again with; nothing when the scan went to its end.
  std::optional<RulesetChoice> other_ruleset() const { return other_ruleset_; }
  Judgement judgement() const { return judge_.finish(); }

  std::string benchmark, division, variant, last_key, official_dies_of;
  int64_t records = 0, last_line = 0, bad_lines = 0, last_bad_line = 0;
  bool finished = false;
  bool other_variant = false;  // than the benchmark's own
  std::vector<BadLine> first_bad_lines;
  std::vector<Record> declarations;
  RemarkCollector remarks;

 private:
  RulesetChoice choice_;
  std::optional<RulesetChoice> other_ruleset_;
  Judge judge_;
};

// The log again, by other rules.
class SecondPass : public LogVisitor {
 public:
  explicit SecondPass(const RuleIndex& index) : judge(index) {}
  Interest header(const RecordHeader& header) override {
    return judge.wants(header.key) ? Interest::take : Interest::skip;
  }
  void record(Record&& record) override { judge.add(record); }
  void bad_line(BadLine&&) override {}

  Judge judge;
};

void add_bad_lines(const FirstPass& pass, const LogFacts& facts, std::vector<Finding>& errors) {
  for (const BadLine& line : pass.first_bad_lines)
    errors.push_back({Severity::error, "log", line.line, "each record can be read", line.what,
                      "correct the line, or find what wrote it"});
  const auto listed = static_cast<int64_t>(pass.first_bad_lines.size());
  if (pass.bad_lines > listed)
    errors.push_back({Severity::error, "log", pass.last_bad_line, "each record can be read",
                      fmt::format("{} more unreadable records up to here", pass.bad_lines - listed),
                      "find what wrote them"});
  if (pass.records == 0)
    errors.push_back({Severity::error, "log", 0, "the log holds records",
                      fmt::format("no readable record in {} lines", facts.lines), "check that this is an MLPerf log"});
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

void add_judgement(const Judgement& judgement, CheckReport& report) {
  for (const auto& [key, finding] : judgement.errors) report.errors.push_back(finding);
  report.errors.insert(report.errors.end(), judgement.lasting.begin(), judgement.lasting.end());
  for (const auto& [key, finding] : judgement.warnings) report.warnings.push_back(finding);
}

// By the full rules alone: the official checker knows no declarations.
void add_official(const FirstPass& pass, const Judgement& full, CheckReport& report) {
  report.official_dies_of = pass.official_dies_of.empty() ? full.official_dies : pass.official_dies_of;
  const bool holds = pass.bad_lines == 0 && pass.records > 0 && full.errors.empty() && full.lasting.empty();
  report.official = !report.official_dies_of.empty() ? OfficialOutcome::dies
                    : holds                          ? OfficialOutcome::pass
                                                     : OfficialOutcome::fail;
}

}  // namespace

struct Checker::State {
  CheckOptions options;
  RulesetShelf shelf;

  CheckReport check(const std::string& path, const RulesetChoice& choice) const {
    const RuleIndex& index = shelf.index(choice.version);
    FirstPass pass(choice, index);
    const LogFacts facts = scan_log(path, pass);
    if (const auto other = pass.other_ruleset()) return check(path, *other);
    if (pass.records == 0 && pass.bad_lines == 0 && facts.has_nul)
      throw DataError(path, "holds binary data and no record; name the log itself, e.g. result_0.txt");

    CheckReport report;
    report.path = path;
    report.ruleset = choice.version;
    report.ruleset_chosen_by = choice.chosen_by;
    report.records = pass.records;
    report.benchmark = pass.benchmark;
    report.division = pass.division;
    report.variant = pass.variant;
    report.finished = pass.finished;
    report.last_key = pass.last_key;
    report.last_line = pass.last_line;
    add_bad_lines(pass, facts, report.errors);
    const Judgement full = pass.judgement();
    add_official(pass, full, report);

    report.scaled_from_log = !options.scaled.has_value();
    const std::vector<ScaledCheck> scaled = options.scaled ? *options.scaled : declared(pass, report.errors);
    const std::vector<Finding> misdeclared = judge_declarations(scaled, full, report.scaled);
    report.errors.insert(report.errors.end(), misdeclared.begin(), misdeclared.end());
    report.small_variant = pass.other_variant || !scaled.empty() || !pass.declarations.empty();
    if (report.scaled.empty()) {
      add_judgement(full, report);
      report.counts = count(full, report);
    } else {
      judge_as_scaled(path, choice, report);
    }

    report.remarks = pass.remarks.finish({path, full.applied, report.small_variant});
    if (!report.small_variant) report.remarks.insert(report.remarks.end(), full.remarks.begin(), full.remarks.end());
    by_line(report.errors);
    by_line(report.warnings);
    by_line(report.remarks);
    return report;
  }

  static std::vector<ScaledCheck> declared(const FirstPass& pass, std::vector<Finding>& errors) {
    if (pass.declarations.size() > kMostDeclarations)
      errors.push_back({Severity::error, std::string(kScaledRuleKey), pass.declarations.back().line,
                        "a log declares few scaled rules", fmt::format("more than {}", kMostDeclarations),
                        "write declarations as the training program does"});
    return declared_in(pass.declarations, errors);
  }

  // What is scaled rightly is judged by its declaration, everything else by the full rules.
  void judge_as_scaled(const std::string& path, const RulesetChoice& choice, CheckReport& report) const {
    std::vector<ScaledCheck> accepted;
    for (const ScaledFinding& finding : report.scaled)
      accepted.push_back({finding.key, finding.description, finding.expected});
    const Ruleset scaled_ruleset = scale(shelf.ruleset(choice.version), accepted);
    const RuleIndex index(scaled_ruleset);
    SecondPass pass(index);
    scan_log(path, pass);
    const Judgement judgement = pass.judge.finish();
    add_judgement(judgement, report);
    report.counts = count(judgement, report);
  }
};

Checker::Checker(CheckOptions options) {
  RulesetShelf shelf(options.ruleset);
  state_ = std::make_shared<const State>(State{std::move(options), std::move(shelf)});
}

CheckReport Checker::check(const std::string& path) const {
  return state_->check(path, state_->shelf.choice_for(path));
}

const std::string& Checker::ruleset() const { return state_->options.ruleset; }

CheckReport check_log(const std::string& path, const CheckOptions& options) { return Checker(options).check(path); }

}  // namespace timetrial::mllog
