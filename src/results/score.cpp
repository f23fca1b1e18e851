// Reads the logs of a folder side by side, drops what the rules drop, averages and scales.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/score.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "results/first_of.h"
#include "results/folder.h"
#include "results/parallel.h"
#include "results/same_work.h"
#include "timetrial/base/error.h"
#include "timetrial/mllog/check.h"
#include "timetrial/results/statistics.h"

namespace timetrial::results {

namespace {

constexpr double kMillisecondsPerMinute = 60000;

struct CheckedRun {
  ScoredRun run;
  std::string ruleset;  // that the check chose; empty when the file cannot be used
};

CheckedRun read_run(const std::string& folder, const std::string& file, const mllog::Checker& checker) {
  CheckedRun result;
  ScoredRun& run = result.run;
  run.file = file;
  const std::string path = folder + "/" + file;
  try {
    run.reading = read_convergence_file(path);
  } catch (const DataError& error) {
    run.reading.trouble = run.facts.seeds.trouble = "the file cannot be read";
  }
  try {
    run.facts = read_run_facts(path);
    const mllog::CheckReport report = checker.check(path);
    result.ruleset = report.ruleset;
    run.verdict = report.verdict_sentence();
    run.small_variant = report.small_variant;
    run.compliant = report.passed() && report.finished;
    if (run.facts.run_ms) run.minutes = *run.facts.run_ms / kMillisecondsPerMinute;
  } catch (const DataError& error) {
    run.verdict = fmt::format("cannot be used: {}", error.what());
  }
  run.fate = run.compliant && run.minutes ? RunFate::counts : RunFate::excluded;
  return result;
}

std::vector<std::string> names_of(const std::vector<ScoredRun>& runs, RunFate fate) {
  std::vector<std::string> names;
  for (const ScoredRun& run : runs)
    if (run.fate == fate) names.push_back(run.file);
  return names;
}

// Drops the fastest and the slowest run, where a single excluded one is the slowest already (rules digest 4).
void average(Score& score) {
  std::vector<ScoredRun*> timed;
  for (ScoredRun& run : score.runs)
    if (run.fate == RunFate::counts) timed.push_back(&run);
  const size_t excluded = score.runs.size() - timed.size();
  if (timed.empty() || excluded > 1) return;
  std::stable_sort(timed.begin(), timed.end(),
                   [](const ScoredRun* a, const ScoredRun* b) { return *a->minutes < *b->minutes; });
  const bool all_count = score.variant && score.runs.size() < 3;
  if (!all_count) {
    timed.front()->fate = RunFate::fastest;
    if (excluded == 0 && timed.size() > 1) timed.back()->fate = RunFate::slowest;
  }
  std::vector<double> minutes;
  for (const ScoredRun* run : timed)
    if (run->fate == RunFate::counts) minutes.push_back(*run->minutes);
  if (!minutes.empty()) score.mean_minutes = mean_of(minutes);
}

double spread(std::vector<double> values, double middle) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return (*most - *least) / middle;
}

// Only runs with the source that most of them share can be compared.
std::optional<StepSummary> summarise_steps(const std::vector<ScoredRun>& runs) {
  std::optional<StepSummary> best;
  for (const char* source : {"train_step_time", "throughput", "blocks"}) {
    std::vector<double> medians, minutes;
    for (const ScoredRun& run : runs) {
      if (!run.facts.steps || run.facts.steps->source != source || !run.minutes) continue;
      medians.push_back(run.facts.steps->median);
      minutes.push_back(*run.minutes);
    }
    if (medians.empty() || (best && static_cast<int64_t>(medians.size()) <= best->runs)) continue;
    std::sort(medians.begin(), medians.end());
    std::sort(minutes.begin(), minutes.end());
    const double median = quantile_of(medians, 0.5);
    best = {.source = source,
            .runs = static_cast<int64_t>(medians.size()),
            .median = median,
            .step_spread = spread(medians, median),
            .run_spread = spread(minutes, quantile_of(minutes, 0.5))};
  }
  return best;
}

void judge_variant(Score& score) {
  for (const ScoredRun& run : score.runs)
    if (run.fate == RunFate::excluded) score.problems.push_back(fmt::format("{}: {}", run.file, run.verdict));
  if (!score.mean_minutes && score.problems.empty()) score.problems.push_back("no run could be timed");
  score.minutes = score.mean_minutes;
}

void judge_runs(Score& score, bool same_work) {
  const std::vector<std::string> excluded = names_of(score.runs, RunFate::excluded);
  if (score.runs_required == 0)
    score.problems.push_back(fmt::format("ruleset {} has no benchmark '{}' with reference points; it has {}",
                                         score.ruleset, score.benchmark,
                                         fmt::join(reference_benchmarks(score.ruleset), ", ")));
  else if (static_cast<int>(score.runs.size()) != score.runs_required)
    score.problems.push_back(
        fmt::format("{} logs, and the rules ask for exactly {}", score.runs.size(), score.runs_required));
  if (excluded.size() == 1)
    score.notes.push_back(fmt::format("{} breaks the rules and takes the place of the slowest run: {}",
                                      excluded.front(),
                                      std::find_if(score.runs.begin(), score.runs.end(), [](const ScoredRun& run) {
                                        return run.fate == RunFate::excluded;
                                      })->verdict));
  if (excluded.size() > 1)
    score.problems.push_back(
        fmt::format("{} logs break the rules and only one may ({})", excluded.size(), fmt::join(excluded, ", ")));
  else if (same_work && !score.mean_minutes)
    score.problems.push_back("too few runs for a mean without the fastest and the slowest");
}

std::string overlooked(std::string_view bypass) {
  return fmt::format(
      "package_checker_params asks for {} with a line end behind it, which the official package checker "
      "overlooks; leave the line end away",
      bypass);
}

std::vector<std::string> files_of(const Score& score) {
  std::vector<std::string> files;
  for (const ScoredRun& run : score.runs) files.push_back(run.file);
  return files;
}

void judge_seeds_of(Score& score, const std::string& folder, bool bypass) {
  std::vector<SeedReading> readings;
  for (const ScoredRun& run : score.runs) readings.push_back(run.facts.seeds);
  score.seeds = judge_seeds(readings, files_of(score));
  if (score.division != "closed") return;
  constexpr std::string_view kBypass = "seed-checker-bypass";
  const BypassFile file = bypass_file(folder, kBypass);
  if (file == BypassFile::overlooked) score.notes.push_back(overlooked(kBypass));
  score.notes.insert(score.notes.end(), score.seeds.notes.begin(), score.seeds.notes.end());
  const bool accepted = bypass || file == BypassFile::honoured;
  for (const std::string& problem : score.seeds.problems)
    (accepted ? score.notes : score.problems)
        .push_back(accepted ? fmt::format("seeds, accepted by the bypass: {}", problem) : "seeds: " + problem);
}

void judge_convergence_of(Score& score, const std::string& folder, bool bypass) {
  std::vector<ConvergenceReading> readings;
  for (const ScoredRun& run : score.runs) readings.push_back(run.reading);
  constexpr std::string_view kBypass = "rcp-bypass";
  const BypassFile file = bypass_file(folder, kBypass);
  score.convergence = judge_convergence(readings, files_of(score),
                                        {.ruleset = score.ruleset, .bypass = bypass || file == BypassFile::honoured});
  score.convergence_applies = score.division == "closed";
  if (file == BypassFile::overlooked) score.notes.push_back(overlooked(kBypass));
  if (!score.convergence_applies) {
    score.notes.push_back(
        fmt::format("division '{}': the convergence check is for the closed division only", score.division));
    return;
  }
  if (!score.convergence.passed) score.problems.push_back("convergence check: " + score.convergence.explanation);
  if (score.convergence.bypassed) score.notes.push_back("the convergence check passed by the bypass only");
  score.scaling_file = scaling_file_text(score.convergence);
}

void compare_scaling_file(Score& score, const std::string& folder) {
  try {
    score.scaling_file_there = scaling_in(folder);
  } catch (const UserError& error) {
    score.notes.push_back(error.what());
    return;
  }
  const double factor = score.scaling_file ? score.convergence.factor : 1;
  const double there = score.scaling_file_there.value_or(1);
  if (std::abs(there - factor) > 1e-9 * factor)
    score.notes.push_back(fmt::format("the folder's scaling.json says {}, this check {}", there, factor));
}

}  // namespace

Score score_folder(const std::string& folder, const ScoreOptions& options) {
  Score score;
  score.folder = folder;
  const mllog::Checker checker({.ruleset = options.ruleset, .scaled = std::nullopt});
  const std::vector<std::string> files = result_files(folder);
  if (files.empty())
    throw DataError(folder,
                    "holds no file result_*.txt; name the folder of one benchmark, e.g. results/<system>/gpt_oss_20b");
  std::vector<CheckedRun> checked(files.size());
  for_each_index(files.size(), options.threads, [&](size_t i) { checked[i] = read_run(folder, files[i], checker); });
  for (CheckedRun& one : checked) {
    if (score.ruleset.empty()) score.ruleset = one.ruleset;
    if (!one.ruleset.empty() && one.ruleset != score.ruleset)
      throw DataError(folder, fmt::format("its logs ask for the rulesets {} and {}; choose one with --ruleset",
                                          score.ruleset, one.ruleset));
    score.runs.push_back(std::move(one.run));
  }
  if (score.ruleset.empty()) throw DataError(folder, "none of its logs can be used: " + score.runs.front().verdict);

  score.benchmark = first_text(score.runs, &RunFacts::benchmark);
  score.division = first_text(score.runs, &RunFacts::division);
  score.variant =
      std::any_of(score.runs.begin(), score.runs.end(), [](const ScoredRun& run) { return run.small_variant; });
  score.problems = different_work(score.runs, score.variant);
  const bool same_work = score.problems.empty();
  if (same_work) {
    score.steps = summarise_steps(score.runs);
    average(score);
  }
  if (score.variant) {
    judge_variant(score);
    return score;
  }
  if (const std::optional<ReferencePoints> points = reference_points(score.ruleset, score.benchmark))
    score.runs_required = points->runs_required;
  judge_runs(score, same_work);
  judge_seeds_of(score, folder, options.seed_bypass);
  judge_convergence_of(score, folder, options.bypass);
  compare_scaling_file(score, folder);
  const double factor = score.scaling_file ? score.convergence.factor : 1;
  if (score.mean_minutes) score.minutes = *score.mean_minutes * factor;
  return score;
}

}  // namespace timetrial::results
