// One sentence of judgement, then what it rests on: findings of the logs that do not pass, remarks, folders.
// SPDX-License-Identifier: Apache-2.0
#include "apps/check_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "apps/exit_code.h"
#include "timetrial/base/error.h"
#include "timetrial/mllog/check_batch.h"
#include "timetrial/results/small_run.h"

namespace timetrial::apps {

namespace {

using mllog::CheckBatch;
using mllog::CheckedLog;
using mllog::CheckReport;
using mllog::Finding;
using results::SmallRunJudgement;

// By log, in the batch's order; nothing for logs that are no small variant's or never ended.
using Judgements = std::vector<std::optional<SmallRunJudgement>>;

struct CheckArguments {
  std::vector<std::string> logs;
  std::string ruleset = std::string(mllog::kAutomaticRuleset);
  int threads = 0;
  bool json = false;
};

std::string place_of(const std::string& path, const Finding& finding) {
  return finding.line > 0 ? fmt::format("{}:{}", path, finding.line) : path;
}

void print_findings(const char* title, const std::vector<Finding>& findings, const std::string& path) {
  if (!findings.empty()) fmt::print("  {}\n", title);
  for (const Finding& finding : findings)
    fmt::print("    {}: {}: {}\n      found:  {}\n      advice: {}\n", place_of(path, finding), finding.key,
               finding.rule, finding.found, finding.advice);
}

// What the verdict rests on; remarks do not.
void print_report(const CheckReport& report) {
  fmt::print("{}: {}\n", report.path, report.verdict_sentence());
  // Which rules a file breaks that is no log tells nobody anything; the JSON has them, as the official checker does.
  std::vector<Finding> errors = report.errors;
  if (report.records == 0) std::erase_if(errors, [](const Finding& finding) { return finding.key != "log"; });
  print_findings("errors", errors, report.path);
  if (report.official == mllog::OfficialOutcome::dies)
    fmt::print("  MLPerf's own checker ends in an exception on this log: {}\n", report.official_dies_of);
  print_findings("warnings (do not fail the log)", report.warnings, report.path);
  if (!report.scaled.empty()) fmt::print("  scaled rules (the log holds the declared value instead)\n");
  for (const mllog::ScaledFinding& finding : report.scaled)
    fmt::print("    {} ({}): {} instead of \"{}\"\n", finding.key, finding.description, finding.expected.dump(),
               finding.full_rule);
}

constexpr const char* kRemarksTitle = "remarks (outside the rules, never part of the verdict)";

void print_only(const CheckReport& report) {
  print_report(report);
  if (report.records == 0) return;
  print_findings(kRemarksTitle, report.remarks, report.path);
  const mllog::CheckCounts& counts = report.counts;
  fmt::print("  rules: {} passed, {} failed, {} scaled, {} optional and not logged\n", counts.passed, counts.failed,
             counts.scaled, counts.absent);
}

// The same remark on many logs is one remark.
void print_grouped(const char* title, const CheckBatch& batch, std::vector<Finding> CheckReport::*findings) {
  struct Group {
    int64_t logs = 0;
    std::string place, found, advice;
  };
  std::map<std::pair<std::string, std::string>, Group> groups;
  for (const CheckedLog& log : batch.logs) {
    if (!log.report) continue;
    std::map<std::pair<std::string, std::string>, const Finding*> of_log;
    for (const Finding& finding : (*log.report).*findings)
      of_log.emplace(std::pair(finding.key, finding.rule), &finding);
    for (const auto& [name, finding] : of_log)
      if (Group& group = groups[name]; group.logs++ == 0) {
        group.place = place_of(log.path, *finding);
        group.found = finding->found;
        group.advice = finding->advice;
      }
  }
  if (!groups.empty()) fmt::print("{}\n", title);
  for (const auto& [name, group] : groups)
    fmt::print("  {} of {} logs: {}: {}\n    first:  {}: {}\n    advice: {}\n", group.logs, batch.logs.size(),
               name.first, name.second, group.place, group.found, group.advice);
}

void print_folders(const CheckBatch& batch) {
  struct Row {
    int64_t logs = 0, passed = 0;
  };
  // Folder, benchmark, division.
  std::map<std::tuple<std::string, std::string, std::string>, Row> rows;
  size_t width = 6, benchmark_width = 9;
  for (const CheckedLog& log : batch.logs) {
    if (!log.report) continue;
    const std::string folder = std::filesystem::path(log.path).parent_path();
    Row& row = rows[{folder.empty() ? "." : folder, log.report->benchmark, log.report->division}];
    ++row.logs;
    row.passed += log.report->passed() ? 1 : 0;
    width = std::max(width, folder.size());
    benchmark_width = std::max(benchmark_width, log.report->benchmark.size());
  }
  fmt::print("{:>5} {:>5}  {:8}  {:{}}  folder\n", "logs", "pass", "division", "benchmark", benchmark_width);
  for (const auto& [name, row] : rows) {
    const auto& [folder, benchmark, division] = name;
    fmt::print("{:>5} {:>5}  {:8}  {:{}}  {}\n", row.logs, row.passed, division, benchmark, benchmark_width, folder);
  }
}

// A folder of full-size logs is read once.
Judgements judge_small_runs(const CheckBatch& batch) {
  Judgements judgements;
  for (const CheckedLog& log : batch.logs) {
    const bool small = log.report && log.report->small_variant;
    judgements.push_back(small ? results::judge_small_run(log.path) : std::nullopt);
  }
  return judgements;
}

// Rules that hold do not make a run sound that converges oddly; the first line must not say otherwise.
std::string sentence_of(const CheckBatch& batch, int64_t odd) {
  return batch.verdict_sentence() + (odd == 0   ? ""
                                     : odd == 1 ? "; 1 converges oddly"
                                                : fmt::format("; {} converge oddly", odd));
}

void print_judgement(const std::optional<SmallRunJudgement>& judgement) {
  if (judgement) fmt::print("  {}\n", judgement->sentence());
}

void print_batch(const CheckBatch& batch, const Judgements& judgements, int64_t odd) {
  if (batch.logs.size() == 1) {
    const CheckedLog& log = batch.logs[0];
    if (log.report) {
      if (odd > 0) fmt::print("converges oddly, though its rules may hold:\n");
      print_only(*log.report);
      print_judgement(judgements[0]);
    } else {
      fmt::print("unusable: {}\n", log.unusable);
    }
    return;
  }
  fmt::print("{}\n", sentence_of(batch, odd));
  for (size_t i = 0; i < batch.logs.size(); ++i) {
    const CheckedLog& log = batch.logs[i];
    if (!log.report) {
      fmt::print("unusable: {}\n", log.unusable);
    } else if (!log.report->passed() || log.report->small_variant) {
      print_report(*log.report);
      print_judgement(judgements[i]);
    }
  }
  print_grouped("warnings (do not fail a log)", batch, &CheckReport::warnings);
  print_grouped(kRemarksTitle, batch, &CheckReport::remarks);
  print_folders(batch);
}

int check_all(const CheckArguments& arguments) {
  const mllog::Checker checker({.ruleset = arguments.ruleset, .scaled = std::nullopt});
  const CheckBatch batch = mllog::check_batch(checker, mllog::find_logs(arguments.logs), arguments.threads);
  const Judgements judgements = judge_small_runs(batch);
  const int64_t odd = std::count_if(judgements.begin(), judgements.end(),
                                    [](const auto& judgement) { return judgement && judgement->odd(); });
  if (arguments.json) {
    Json json = batch.to_json();
    json["sentence"] = sentence_of(batch, odd);
    json["converged_oddly"] = odd;
    for (size_t i = 0; i < judgements.size(); ++i)
      if (judgements[i]) json["logs"][i]["convergence"] = judgements[i]->to_json();
    fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
  } else {
    print_batch(batch, judgements, odd);
  }
  if (batch.unusable > 0) return kUserError;
  return batch.failed + batch.unfinished + odd > 0 ? kFailedCheck : kSuccess;
}

}  // namespace

void add_check_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("check", "judge logs by the MLPerf Training rules, line by line");
  command->footer(
      "Examples:\n"
      "  timetrial check runs/small/result_0.txt\n"
      "  timetrial check training_results_v5.1/Example/results --json > verdicts.json\n"
      "The rules are those of MLPerf's compliance_checker, of the rounds 5.1.0 and 6.0.0, every benchmark, closed and\n"
      "open; every finding names the line, the rule, what was found and what to do. In a folder, files\n"
      "result_<n>.txt are logs. --ruleset auto takes the round that a log's path names (training_results_v5.1), else\n"
      "the newest ruleset that has its benchmark.\n"
      "A log may declare rules that its small variant scales (sequence length, target, ...). They are listed by name,\n"
      "and such a log passes, but is no MLPerf result; nor is the log of any other variant than the full one.\n"
      "Remarks are questions a reviewer would ask; they never change the verdict.\n"
      "The log of a small variant of gpt_oss_20b (no other has reference runs yet) is also held against the samples\n"
      "that runs of it usually need to their target.\n"
      "Exit code: 0 all logs pass, 1 a log fails, is unfinished or converges oddly, 2 a log or folder cannot be used.");
  auto arguments = std::make_shared<CheckArguments>();
  command->add_option("LOG", arguments->logs, "MLPerf log files, e.g. result_0.txt, or folders with such files")
      ->required();
  command->add_option("--ruleset", arguments->ruleset, "version of the rules: 5.1.0, 6.0.0 or auto")
      ->capture_default_str();
  command->add_option("--threads", arguments->threads, "logs read at once; 0: as many as there are processors")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "print one JSON document (schema timetrial.check_all/1)");
  command->callback([arguments, &exit_code] { exit_code = check_all(*arguments); });
}

}  // namespace timetrial::apps
