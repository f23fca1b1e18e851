// One sentence of judgement per log, then what it rests on, then counts.
// SPDX-License-Identifier: Apache-2.0
#include "apps/check_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "apps/exit_code.h"
#include "timetrial/base/error.h"
#include "timetrial/mllog/check.h"

namespace timetrial::apps {

namespace {

using mllog::CheckReport;
using mllog::Finding;

struct CheckArguments {
  std::vector<std::string> logs;
  std::string ruleset = "6.0.0";
  bool json = false;
};

void print_findings(const char* title, const std::vector<Finding>& findings, const std::string& path) {
  if (!findings.empty()) fmt::print("  {}\n", title);
  for (const Finding& finding : findings) {
    const std::string place = finding.line > 0 ? fmt::format("{}:{}", path, finding.line) : path;
    fmt::print("    {}: {}: {}\n      found:  {}\n      advice: {}\n", place, finding.key, finding.rule, finding.found,
               finding.advice);
  }
}

void print_report(const CheckReport& report) {
  fmt::print("{}: {}\n", report.path, report.verdict_sentence());
  print_findings("errors", report.errors, report.path);
  print_findings("warnings (do not fail the log)", report.warnings, report.path);
  if (!report.scaled.empty()) fmt::print("  scaled rules (the log holds the declared value instead)\n");
  for (const mllog::ScaledFinding& finding : report.scaled)
    fmt::print("    {} ({}): {} instead of \"{}\"\n", finding.key, finding.description, finding.expected.dump(),
               finding.full_rule);
  print_findings("remarks (outside the rules, never part of the verdict)", report.remarks, report.path);
  const mllog::CheckCounts& counts = report.counts;
  fmt::print("  rules: {} passed, {} failed, {} scaled, {} optional and not logged\n", counts.passed, counts.failed,
             counts.scaled, counts.absent);
}

int check_one(const CheckArguments& arguments, const std::string& path, Json& reports) {
  try {
    const CheckReport report = mllog::check_log(path, {.ruleset = arguments.ruleset, .scaled = std::nullopt});
    if (arguments.json) {
      reports.push_back(report.to_json());
    } else {
      print_report(report);
    }
    return report.passed() ? kSuccess : kFailedCheck;
  } catch (const DataError& error) {
    if (arguments.json) {
      reports.push_back({{"schema", "timetrial.check/1"},
                         {"log", path},
                         {"verdict", "unusable"},
                         {"passed", false},
                         {"sentence", error.what()}});
    } else {
      fmt::print("unusable: {}\n", error.what());
    }
    return kUserError;
  }
}

int check_all(const CheckArguments& arguments) {
  Json reports = Json::array();
  int worst = kSuccess;
  int64_t counts[3] = {};
  for (const std::string& path : arguments.logs) {
    const int code = check_one(arguments, path, reports);
    ++counts[code];
    worst = std::max(worst, code);
  }
  const auto& [passed, failed, unusable] = counts;
  if (arguments.json) {
    const Json all = {{"schema", "timetrial.check_all/1"},
                      {"ruleset", arguments.ruleset},
                      {"logs", reports},
                      {"passed", passed},
                      {"failed", failed},
                      {"unusable", unusable}};
    fmt::print("{}\n", all.dump(2, ' ', false, Json::error_handler_t::replace));
  } else if (arguments.logs.size() > 1) {
    fmt::print("logs: {} passed, {} failed, {} unusable\n", passed, failed, unusable);
  }
  return worst;
}

}  // namespace

void add_check_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("check", "judge logs by the MLPerf Training rules, line by line");
  command->footer(
      "Examples:\n"
      "  timetrial check runs/small/result_0.txt\n"
      "  timetrial check results/*/result_*.txt --json > verdicts.json\n"
      "The rules are those of MLPerf's compliance_checker, for gpt_oss_20b; every finding names the line, the rule, "
      "what\n"
      "was found and what to do. A log may declare rules that its small variant scales (sequence length, target, "
      "...).\n"
      "They are listed by name, and such a log passes, but is no MLPerf result. Remarks are questions a reviewer "
      "would\n"
      "ask; they never change the verdict.\n"
      "Exit code: 0 all logs pass, 1 a log fails or is unfinished, 2 a log cannot be used.");
  auto arguments = std::make_shared<CheckArguments>();
  command->add_option("LOG", arguments->logs, "MLPerf log files, e.g. result_0.txt")->required();
  command->add_option("--ruleset", arguments->ruleset, "version of the rules")->capture_default_str();
  command->add_flag("--json", arguments->json, "print one JSON document (schema timetrial.check_all/1)");
  command->callback([arguments, &exit_code] { exit_code = check_all(*arguments); });
}

}  // namespace timetrial::apps
