// Reads rounds into JSON and prints rows of what is known, each with its age and its standing.
// SPDX-License-Identifier: Apache-2.0
#include "apps/results_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/exit_code.h"
#include "timetrial/base/clock.h"
#include "timetrial/base/error.h"
#include "timetrial/results/records.h"
#include "timetrial/results/round.h"
#include "timetrial/results/wording.h"

namespace timetrial::apps {

namespace {

using results::ResultRecord;

struct ListArguments {
  results::RecordFilter filter;
  std::string count, sort = "minutes", today = results::today();
  std::vector<std::string> files;
  bool json = false;
};

struct ImportArguments {
  std::string folder, output;
  results::ImportOptions options;
  bool json = false;
};

std::string number(const std::optional<double>& value, int digits) {
  return value ? fmt::format("{:.{}f}", *value, digits) : std::string("-");
}

// "~" before what nobody measured.
std::string minutes_of(const ResultRecord& record) {
  if (!record.minutes) return "-";
  const std::string mark = record.is_estimated("minutes") ? "~" : "";
  const std::string standing = record.reviewed ? "" : fmt::format(" {}", results::kUnverified);
  return mark + results::minutes_text(*record.minutes) + standing;
}

// Nothing where the day of publication is unknown, or was still to come.
std::optional<int64_t> age_in_days(const ResultRecord& record, const std::string& today) {
  const std::optional<int64_t> days = results::days_between(record.date, today);
  return days && *days >= 0 ? days : std::nullopt;
}

std::string age_of(const ResultRecord& record, const std::string& today) {
  const std::optional<int64_t> days = age_in_days(record, today);
  if (days) return fmt::format("{} days", *days);
  return results::days_between(record.date, today) ? "-" : "unknown";
}

void print_rows(const std::vector<ResultRecord>& records, const std::string& today) {
  fmt::print("{:<16}{:<6}{:<12}{:<26}{:>7}{:>7}{:>22}{:>9}{:>11}  {:<42}{}\n", "workload", "round", "age", "submitter",
             "count", "batch", "minutes", "step s", "samples", "accelerator", "system");
  for (const ResultRecord& record : records)
    fmt::print("{:<16}{:<6}{:<12}{:<26}{:>7}{:>7}{:>22}{:>9}{:>11}  {:<42}{}\n", record.benchmark, record.round,
               age_of(record, today), record.organization + (record.division == "open" ? " (open)" : ""),
               number(record.accelerators, 0), number(record.batch, 0), minutes_of(record), number(record.step_s, 3),
               number(record.samples, 0), record.accelerator,
               record.form.empty() ? record.system : fmt::format("{} (form {})", record.system, record.form));
}

void print_footnotes(const std::vector<ResultRecord>& records) {
  std::vector<std::string> sources;
  bool unverified = false, reviewed = false, estimated = false;
  for (const ResultRecord& record : records) {
    unverified = unverified || !record.reviewed;
    reviewed = reviewed || record.reviewed;
    estimated = estimated || record.is_estimated("minutes");
    const std::string source = fmt::format("{} {} ({})", record.round, record.source, record.date);
    if (record.reviewed && !record.source.empty() && std::find(sources.begin(), sources.end(), source) == sources.end())
      sources.push_back(source);
  }
  for (const std::string& source : sources) fmt::print("MLPerf® Training results of round {}.\n", source);
  if (estimated) fmt::print("~ is an estimate of this program's makers, not a published result.\n");
  if (unverified) fmt::print("Beside {}: {}\n", results::kUnverified, results::kNotVerified);
  if (unverified && reviewed) fmt::print("{}\n", results::kUnverifiedComparison);
  fmt::print("{}\n", results::kTrademark);
}

int list(const ListArguments& arguments) {
  results::LoadedRecords loaded = results::shipped_records();
  for (const std::string& path : arguments.files) {
    results::LoadedRecords more = results::load_records(read_json_file(path), path);
    std::move(more.records.begin(), more.records.end(), std::back_inserter(loaded.records));
    std::move(more.problems.begin(), more.problems.end(), std::back_inserter(loaded.problems));
  }
  if (!results::days_between(arguments.today, arguments.today))
    throw UserError(fmt::format("--today '{}' is no date; write 2026-06-16", arguments.today));
  results::RecordFilter filter = arguments.filter;
  results::check_names(filter, loaded.records);
  if (!arguments.count.empty()) results::set_count(filter, arguments.count);
  const std::vector<ResultRecord> records = results::select(loaded.records, filter, results::order_of(arguments.sort));
  if (arguments.json) {
    Json rows = Json::array();
    for (const ResultRecord& record : records) {
      Json row = record.whole;
      row["date"] = record.date;
      row["source"] = record.source;
      row["review"] = record.reviewed ? "reviewed" : std::string(results::kUnverified);
      const std::optional<int64_t> days = age_in_days(record, arguments.today);
      row["age_days"] = days ? Json(*days) : Json();
      rows.push_back(std::move(row));
    }
    const Json all = {{"schema", "timetrial.results_list/1"},
                      {"today", arguments.today},
                      {"records", rows},
                      {"problems", loaded.problems}};
    fmt::print("{}\n", all.dump(2, ' ', false, Json::error_handler_t::replace));
    return records.empty() ? kFailedCheck : kSuccess;
  }
  for (const std::string& problem : loaded.problems) fmt::print("problem: {}\n", problem);
  if (records.empty()) {
    fmt::print("no result matches; there are {} in all, `timetrial results list` prints them\n", loaded.records.size());
    return kFailedCheck;
  }
  fmt::print("{} of {} results match; age counts from the round's publication to {}\n", records.size(),
             loaded.records.size(), arguments.today);
  print_rows(records, arguments.today);
  print_footnotes(records);
  return kSuccess;
}

void write_new_file(const std::string& path, const std::string& text) {
  if (std::filesystem::exists(path))
    throw UserError(fmt::format("{} exists; remove it or name another --output", path));
  std::ofstream file(path, std::ios::binary);
  file << text << '\n';
  file.close();
  if (!file) throw UserError(fmt::format("{} could not be written", path));
}

int import(const ImportArguments& arguments) {
  if (!std::filesystem::is_directory(arguments.folder))
    throw UserError(
        fmt::format("{}: no such folder; give a checkout of a results repository, or one organisation's folder of it",
                    arguments.folder));
  const double start = monotonic_seconds();
  const results::ImportedRound round = results::import_round(arguments.folder, arguments.options);
  const double seconds = monotonic_seconds() - start;
  if (round.logs == 0)
    throw UserError(fmt::format(
        "{}: no <organisation>/results/<system>/<benchmark>/result_*.txt in it; give a checkout of a results "
        "repository, or one organisation's folder of it",
        arguments.folder));
  const Json document = round.to_json();
  const std::string text = document.dump(1, ' ', false, Json::error_handler_t::replace);
  if (!arguments.output.empty()) write_new_file(arguments.output, text);
  if (arguments.json) {
    fmt::print("{}\n", text);
    return round.problems.empty() ? kSuccess : kFailedCheck;
  }
  fmt::print("{}: {} records from {} folders and {} logs ({:.1f} MB) of round {} in {:.2f} s; {} problems\n",
             arguments.folder, round.records.size(), round.folders, round.logs, static_cast<double>(round.bytes) / 1e6,
             round.round, seconds, round.problems.size());
  for (const results::ImportProblem& problem : round.problems)
    fmt::print("problem: {}: {}\n", problem.path, problem.what);
  const results::LoadedRecords loaded = results::load_records(document, arguments.folder);
  const std::vector<ResultRecord> records = results::select(loaded.records, {}, results::RecordOrder::organization);
  print_rows(records, results::today());
  print_footnotes(records);
  if (!arguments.output.empty()) fmt::print("written to {}\n", arguments.output);
  return round.problems.empty() ? kSuccess : kFailedCheck;
}

void add_list(CLI::App& results_app, int& exit_code) {
  CLI::App* command = results_app.add_subcommand("list", "results of published rounds, filtered and sorted");
  command->footer(
      "Examples:\n"
      "  timetrial results list --workload llama31_405b --count 512..2048\n"
      "  timetrial results list --accelerator gb300 --sort step --round v6.0\n"
      "  timetrial results list --file mine.json --submitter NVIDIA --json\n"
      "Without --file: what ships with the program, from workloads/*/published.json. Results age: compare with the\n"
      "youngest round that has your accelerator. ~ marks an estimate.\n"
      "Exit code: 0 something matches, 1 nothing does, 2 a file or an option cannot be used.");
  auto arguments = std::make_shared<ListArguments>();
  command->add_option("--workload", arguments->filter.benchmark, "gpt_oss_20b, llama31_405b, deepseekv3_671b, ...");
  command->add_option("--accelerator", arguments->filter.accelerator, "part of the accelerator's name, e.g. GB300");
  command->add_option("--count", arguments->count, "number of accelerators: 8, 8..72, 72.. or ..72");
  command->add_option("--submitter", arguments->filter.organization, "submitting organisation");
  command->add_option("--round", arguments->filter.round, "v5.1 or v6.0");
  command->add_option("--division", arguments->filter.division, "closed or open");
  command->add_option("--sort", arguments->sort, "minutes, count, submitter, round or step")->capture_default_str();
  command->add_option("--file", arguments->files, "further results, from `timetrial results import --output`");
  command->add_option("--today", arguments->today, "the day that ages count to")->capture_default_str();
  command->add_flag("--json", arguments->json, "print one JSON document (schema timetrial.results_list/1)");
  command->callback([arguments, &exit_code] { exit_code = list(*arguments); });
}

void add_import(CLI::App& results_app, int& exit_code) {
  CLI::App* command = results_app.add_subcommand("import", "read a checkout of a results repository into a table");
  command->footer(
      "Examples:\n"
      "  git clone --depth 1 https://github.com/mlcommons/training_results_v5.1\n"
      "  timetrial results import training_results_v5.1 --output v5.1.json\n"
      "  timetrial results import my_submission --ruleset 6.0.0\n"
      "Reads <organisation>/systems/<system>.json and <organisation>/results/<system>/<benchmark>/result_*.txt. What\n"
      "cannot be read is named, the rest is kept. Scores are \"unverified\" unless --reviewed says where MLCommons\n"
      "published them.\n"
      "Exit code: 0 all of it was read and scores by the rules, 1 some was not (each is named), 2 nothing could be "
      "read.");
  auto arguments = std::make_shared<ImportArguments>();
  command->add_option("ROUND_DIR", arguments->folder, "folder of organisations, or of one")->required();
  command->add_option("--ruleset", arguments->options.ruleset, "5.1.0 or 6.0.0; default: from the folder's name");
  command->add_option("--output", arguments->output,
                      "write the JSON document (schema timetrial.results/1) to this new file");
  command->add_option("--reviewed", arguments->options.reviewed,
                      "address where these results were published after review");
  command->add_option("--date", arguments->options.date, "day of publication, e.g. 2026-06-16; default: the round's");
  command->add_option("--threads", arguments->options.threads, "threads; 0: one per core")->capture_default_str();
  command->add_flag("--json", arguments->json, "print the JSON document instead of the table");
  command->callback([arguments, &exit_code] { exit_code = import(*arguments); });
}

}  // namespace

void add_results_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("results", "published results: import a round, list what is known");
  command->require_subcommand(1);
  add_list(*command, exit_code);
  add_import(*command, exit_code);
}

}  // namespace timetrial::apps
