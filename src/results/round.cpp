// Walks a round's folders, scores each benchmark folder, and joins it with the description of its system.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/round.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>

#include "results/first_of.h"
#include "results/json_value.h"
#include "results/parallel.h"
#include "results/round_folders.h"
#include "results/system_facts.h"
#include "timetrial/base/error.h"
#include "timetrial/results/reference_points.h"
#include "timetrial/results/score.h"
#include "timetrial/results/statistics.h"
#include "timetrial/results/wording.h"

namespace timetrial::results {

namespace {

// Days of publication (MLCommons' announcements).
std::string date_of(const std::string& round) {
  if (round == "v5.1") return "2025-11-12";
  if (round == "v6.0") return "2026-06-16";
  return {};
}

std::string ruleset_for(const std::string& folder, const std::string& given) {
  if (!given.empty()) {
    reference_benchmarks(given);
    return given;
  }
  static const std::regex kVersion("v(\\d+\\.\\d+)");
  std::smatch match;
  const std::string name = last_part(folder);
  if (!std::regex_search(name, match, kVersion))
    throw UserError(
        fmt::format("'{}' does not say which round it is; give --ruleset {}", name, fmt::join(rulesets(), " or ")));
  const std::string ruleset = match[1].str() + ".0";
  reference_benchmarks(ruleset);
  return ruleset;
}

Json parallelism_of(const std::vector<ScoredRun>& runs) {
  Json object = Json::object();
  const auto put = [&](const char* name, std::optional<double> RunFacts::*field) {
    if (const std::optional<double> degree = first_number(runs, field)) object[name] = json_of(degree);
  };
  put("tensor", &RunFacts::tensor);
  put("pipeline", &RunFacts::pipeline);
  put("context", &RunFacts::context);
  put("expert", &RunFacts::expert);
  return object;
}

std::string precision_of(const std::vector<ScoredRun>& runs) {
  const std::string linear = first_text(runs, &RunFacts::linear_precision);
  const std::string attention = first_text(runs, &RunFacts::attention_precision);
  const std::string communication = first_text(runs, &RunFacts::communication_precision);
  if (linear.empty() && attention.empty() && communication.empty()) return {};
  return fmt::format("linear {}, attention {}, communication {}", linear.empty() ? "?" : linear,
                     attention.empty() ? "?" : attention, communication.empty() ? "?" : communication);
}

Json runs_json(const std::vector<ScoredRun>& runs) {
  Json list = Json::array();
  for (const ScoredRun& run : runs) {
    Json object = to_json(run.facts);
    object["file"] = run.file;
    object["fate"] = name_of(run.fate);
    object["step_s"] = run.facts.steps ? Json(run.facts.steps->median) : Json();
    if (!run.compliant) object["verdict"] = run.verdict;
    list.push_back(std::move(object));
  }
  return list;
}

// Samples to the target without the fastest and the slowest run, as the official summary has it.
std::optional<double> samples_of(const Score& score) {
  std::vector<double> reached;
  for (const ScoredRun& run : score.runs)
    if (run.reading.trouble.empty()) reached.push_back(run.reading.reached);
  return olympic_mean(reached);
}

struct Factor {
  double value = 1;
  const char* source = "none";
};

Factor factor_of(const Score& score) {
  if (score.scaling_file_there) return {*score.scaling_file_there, "scaling.json"};
  if (score.scaling_file) return {score.convergence.factor, "convergence check"};
  return {};
}

Json record_of(const Score& score, const RoundFolder& place, const ImportedRound& round) {
  const Factor factor = factor_of(score);
  Json record = place.system_facts.fields;
  record["round"] = round.round;
  record["organization"] = place.organization;
  record["system"] = place.system;
  record["benchmark"] = place.benchmark;
  if (const std::string form = first_text(score.runs, &RunFacts::form); !form.empty()) record["form"] = form;
  if (record["division"].is_null() && !score.division.empty()) record["division"] = score.division;
  record["global_batch"] = json_of(first_number(score.runs, &RunFacts::batch));
  record["accumulation"] = json_of(first_number(score.runs, &RunFacts::accumulation));
  record["micro_batch"] = json_of(first_number(score.runs, &RunFacts::micro_batch));
  record["parallelism"] = parallelism_of(score.runs);
  record["precision"] = precision_of(score.runs);
  record["minutes"] = score.mean_minutes ? Json(*score.mean_minutes * factor.value) : Json();
  record["minutes_unscaled"] = json_of(score.mean_minutes);
  record["scaling_factor"] = factor.value;
  record["scaling_source"] = factor.source;
  record["review"] = round.source.empty() ? std::string(kUnverified) : "reviewed";
  record["samples"] = json_of(samples_of(score));
  record["step_s"] = score.steps ? Json(score.steps->median) : Json();
  record["step_spread"] = score.steps ? Json(score.steps->step_spread) : Json();
  record["convergence"] = {{"passed", score.convergence.passed},
                           {"message", score.convergence.message},
                           {"factor", json_of(score.convergence.factor)},
                           {"explanation", score.convergence.explanation}};
  record["method"] = "mean of run_stop - run_start without the fastest and the slowest run, x scaling_factor";
  record["problems"] = score.problems;
  record["notes"] = score.notes;
  record["runs"] = runs_json(score.runs);
  return record;
}

}  // namespace

Json ImportedRound::to_json() const {
  Json list = Json::array();
  for (const ImportProblem& problem : problems) list.push_back({{"path", problem.path}, {"what", problem.what}});
  return {{"schema", "timetrial.results/1"},
          {"rounds", {{round, {{"date", date}, {"ruleset", ruleset}, {"source", source}}}}},
          {"folders", folders},
          {"logs", logs},
          {"bytes", bytes},
          {"problems", list},
          {"records", records}};
}

ImportedRound import_round(const std::string& folder, const ImportOptions& options) {
  ImportedRound round;
  round.ruleset = ruleset_for(folder, options.ruleset);
  round.round = version_name(round.ruleset);
  round.date = options.date.empty() ? date_of(round.round) : options.date;
  round.source = options.reviewed;
  RoundFolders found = find_round_folders(folder, reference_benchmarks(round.ruleset));
  round.problems = std::move(found.problems);
  round.folders = static_cast<int64_t>(found.folders.size());
  round.logs = found.logs;
  round.bytes = found.bytes;

  std::vector<Json> records(found.folders.size());
  std::vector<std::string> failures(found.folders.size());
  // The longest first, so that no thread is left with one at the end.
  std::vector<size_t> order(found.folders.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return found.folders[a].bytes > found.folders[b].bytes; });
  for_each_index(order.size(), options.threads, [&](size_t next) {
    const RoundFolder& place = found.folders[order[next]];
    try {
      const Score score = score_folder(place.path, {.ruleset = round.ruleset, .bypass = false, .threads = 1});
      if (score.variant) {
        failures[order[next]] = score.sentence() + "; left out";
      } else {
        records[order[next]] = record_of(score, place, round);
      }
    } catch (const DataError& error) {
      failures[order[next]] = error.what();
    }
  });
  for (size_t i = 0; i < records.size(); ++i) {
    const RoundFolder& place = found.folders[i];
    if (!failures[i].empty()) {
      round.problems.push_back({place.path, failures[i]});
      continue;
    }
    for (const Json& run : records[i].at("runs"))
      if (run.contains("verdict"))
        round.problems.push_back(
            {place.path + "/" + run.at("file").get<std::string>(), run.at("verdict").get<std::string>()});
    for (const Json& problem : records[i].at("problems"))
      round.problems.push_back({place.path, problem.get<std::string>()});
    round.records.push_back(std::move(records[i]));
  }
  return round;
}

}  // namespace timetrial::results
