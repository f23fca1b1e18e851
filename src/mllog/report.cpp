// CheckReport in words and as JSON.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/ranges.h>

#include <set>

#include "timetrial/base/error.h"
#include "timetrial/mllog/check.h"
#include "timetrial/mllog/own_keys.h"

namespace timetrial::mllog {

namespace {

Json findings_json(const std::vector<Finding>& findings, const std::string& file) {
  Json list = Json::array();
  for (const Finding& finding : findings)
    list.push_back({{"severity", finding.severity == Severity::error ? "error" : "warning"},
                    {"file", file},
                    {"key", finding.key},
                    {"line", finding.line},
                    {"rule", finding.rule},
                    {"found", finding.found},
                    {"advice", finding.advice}});
  return list;
}

// Keys once each, in the order of the findings.
std::string keys_of(const std::vector<Finding>& findings) {
  std::set<std::string> known;
  std::vector<std::string> keys;
  for (const Finding& finding : findings)
    if (known.insert(finding.key).second) keys.push_back(finding.key);
  return fmt::format("{}", fmt::join(keys, ", "));
}

std::string rules_name(const CheckReport& report) {
  return report.benchmark.empty()
             ? fmt::format("ruleset {}", report.ruleset)
             : fmt::format("ruleset {}, {} {}", report.ruleset,
                           report.division.empty() ? "no division" : report.division, report.benchmark);
}

const char* name_of(OfficialOutcome outcome) {
  switch (outcome) {
    case OfficialOutcome::pass:
      return "pass";
    case OfficialOutcome::fail:
      return "fail";
    case OfficialOutcome::dies:
      return "dies";
  }
  throw Error("an official outcome without a name");
}

const char* verdict(const CheckReport& report) {
  if (report.records > 0 && !report.finished) return "unfinished";
  if (!report.passed()) return "fail";
  if (!report.scaled.empty()) return "pass_scaled";
  return report.small_variant ? "pass_variant" : "pass";
}

}  // namespace

std::string CheckReport::verdict_sentence() const {
  if (records > 0 && !finished)
    return fmt::format("unfinished: no run_stop; the last record is {} on line {} ({})", last_key, last_line,
                       rules_name(*this));
  if (records == 0) return "fail: no MLPerf record in it; is this a log?";
  if (!passed())
    return fmt::format("fail: {} of {} rules broken ({}): {}", counts.failed,
                       counts.failed + counts.passed + counts.scaled, rules_name(*this), keys_of(errors));
  if (scaled.empty())
    return fmt::format("pass: {} rules hold ({}){}", counts.passed, rules_name(*this),
                       small_variant ? "; " + no_result(variant) : "");
  std::vector<std::string> names;
  for (const ScaledFinding& finding : scaled) names.push_back(finding.key);
  return fmt::format("pass, {} scaled: {}; {} rules hold as they are ({}); {}{}", scaled.size(), fmt::join(names, ", "),
                     counts.passed, rules_name(*this), no_result(variant),
                     scaled_from_log ? "; what is scaled is the log's own declaration" : "");
}

std::string no_result(std::string_view variant) {
  const bool named = !variant.empty() && variant != kFullVariant;
  return fmt::format("{}: {}", named ? fmt::format("variant {}", variant) : "a small variant", kNoResult);
}

Json CheckReport::to_json() const {
  Json list = Json::array();
  for (const ScaledFinding& finding : scaled)
    list.push_back({{"key", finding.key},
                    {"description", finding.description},
                    {"expected", finding.expected},
                    {"full_rule", finding.full_rule}});
  return {
      {"schema", "timetrial.check/1"},
      {"log", path},
      {"ruleset", ruleset},
      {"ruleset_chosen_by", ruleset_chosen_by},
      {"official", {{"outcome", name_of(official)}, {"dies_of", official_dies_of}}},
      {"benchmark", benchmark},
      {"division", division},
      {"variant", variant},
      {"small_variant", small_variant},
      {"verdict", verdict(*this)},
      {"sentence", verdict_sentence()},
      {"passed", passed()},
      {"finished", finished},
      {"last_key", last_key},
      {"last_line", last_line},
      {"records", records},
      {"counts",
       {{"passed", counts.passed}, {"failed", counts.failed}, {"scaled", counts.scaled}, {"absent", counts.absent}}},
      {"errors", findings_json(errors, path)},
      {"warnings", findings_json(warnings, path)},
      {"remarks", findings_json(remarks, path)},
      {"scaled", list},
      {"scaled_from_log", scaled_from_log}};
}

}  // namespace timetrial::mllog
