// A score in one sentence, its footnote, and as JSON.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "results/first_of.h"
#include "results/json_value.h"
#include "timetrial/mllog/own_keys.h"
#include "timetrial/results/score.h"
#include "timetrial/results/wording.h"

namespace timetrial::results {

namespace {

const char* name_of(ConvergenceCase which) {
  switch (which) {
    case ConvergenceCase::found:
      return "found";
    case ConvergenceCase::interpolated:
      return "interpolated";
    case ConvergenceCase::below:
      return "below";
    case ConvergenceCase::above:
      return "above";
    case ConvergenceCase::unconverged:
      return "unconverged";
    case ConvergenceCase::no_batch:
      return "no_batch";
    case ConvergenceCase::unusable:
      return "unusable";
  }
  return "";
}

Json run_json(const ScoredRun& run) {
  Json object = to_json(run.facts);
  object["file"] = run.file;
  object["fate"] = name_of(run.fate);
  object["compliant"] = run.compliant;
  object["verdict"] = run.verdict;
  object["minutes"] = json_of(run.minutes);
  object["converged"] = run.reading.converged;
  return object;
}

Json convergence_json(const Score& score) {
  const ConvergenceVerdict& verdict = score.convergence;
  Json object = {{"applies", score.convergence_applies},
                 {"case", name_of(verdict.which)},
                 {"passed", verdict.passed},
                 {"bypassed", verdict.bypassed},
                 {"factor", json_of(verdict.factor)},
                 {"official_message", verdict.message},
                 {"explanation", verdict.explanation},
                 {"unit", verdict.unit},
                 {"reference", nullptr},
                 {"scaling_file", nullptr}};
  if (const std::optional<std::string> file = scaling_file_text(verdict)) object["scaling_file"] = *file;
  if (verdict.point)
    object["reference"] = {{"batch", verdict.point->batch},
                           {"mean", verdict.point->mean},
                           {"deviation", verdict.point->deviation},
                           {"limit", verdict.limit},
                           {"submission_mean", json_of(verdict.submission_mean)},
                           {"source", verdict.point->source}};
  return object;
}

Json seeds_json(const Score& score) {
  return {{"applies", score.convergence_applies}, {"passed", score.seeds.passed()}, {"problems", score.seeds.problems}};
}

int64_t counting(const std::vector<ScoredRun>& runs) {
  return std::count_if(runs.begin(), runs.end(), [](const ScoredRun& run) { return run.fate == RunFate::counts; });
}

}  // namespace

const char* name_of(RunFate fate) {
  switch (fate) {
    case RunFate::counts:
      return "counts";
    case RunFate::fastest:
      return "fastest";
    case RunFate::slowest:
      return "slowest";
    case RunFate::excluded:
      return "excluded";
  }
  return "";
}

std::string Score::sentence() const {
  const auto count = counting(runs);
  const std::string runs_word = fmt::format("{} of {} runs", count, runs.size());
  if (variant) {
    const std::string words = small_variant_words(first_text(runs, &RunFacts::variant));
    if (!passed()) return fmt::format("no time: {}; {}", problems.front(), words);
    return fmt::format("{} minutes to the target, mean of {}: {}", minutes_text(*minutes), runs_word, words);
  }
  const std::string what = fmt::format("{}, {}, ruleset {}", benchmark.empty() ? "no benchmark" : benchmark,
                                       division.empty() ? "no division" : division, ruleset);
  if (!passed()) {
    const std::string more = problems.size() > 1 ? fmt::format("; and {} more", problems.size() - 1) : "";
    const std::string mean = mean_minutes ? fmt::format("; the runs' mean of {} minutes is {}",
                                                        minutes_text(*mean_minutes), mllog::kNoResult)
                                          : "";
    return fmt::format("no score: {}{} ({}){}", problems.empty() ? "no run could be timed" : problems.front(), more,
                       what, mean);
  }
  const std::string scaled =
      scaling_file ? fmt::format(" x {:.6f}, because they converged faster than the reference", convergence.factor)
                   : "";
  return fmt::format("{}: {}; mean of {}{}", unverified_score(*minutes), what, runs_word, scaled);
}

std::string Score::footnote() const {
  return passed() && !variant ? unverified_footnote(ruleset, division, benchmark) : std::string();
}

Json Score::to_json() const {
  Json list = Json::array();
  for (const ScoredRun& run : runs) list.push_back(run_json(run));
  Json object = {{"schema", "timetrial.score/1"},
                 {"folder", folder},
                 {"ruleset", ruleset},
                 {"benchmark", benchmark},
                 {"division", division},
                 {"passed", passed()},
                 {"sentence", sentence()},
                 {"small_variant", variant},
                 {"review", passed() && !variant ? Json(kUnverified) : Json()},
                 {"footnote", footnote()},
                 {"minutes", passed() ? json_of(minutes) : Json()},
                 {"mean_minutes", json_of(mean_minutes)},
                 {"runs_required", runs_required},
                 {"problems", problems},
                 {"notes", notes},
                 {"runs", list},
                 {"seeds", variant ? Json() : seeds_json(*this)},
                 {"convergence", variant ? Json() : convergence_json(*this)},
                 {"scaling_file", scaling_file ? Json(*scaling_file) : Json()},
                 {"scaling_file_there", json_of(scaling_file_there)},
                 {"steps", nullptr}};
  if (steps)
    object["steps"] = {{"source", steps->source},
                       {"runs", steps->runs},
                       {"median_s", steps->median},
                       {"step_spread", steps->step_spread},
                       {"run_spread", steps->run_spread}};
  return object;
}

}  // namespace timetrial::results
