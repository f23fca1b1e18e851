// One sentence of judgement per folder, then the runs, then why.
// SPDX-License-Identifier: Apache-2.0
#include "apps/score_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/exit_code.h"
#include "timetrial/base/error.h"
#include "timetrial/results/score.h"
#include "timetrial/results/wording.h"

namespace timetrial::apps {

namespace {

using results::RunFate;
using results::Score;
using results::ScoredRun;

struct ScoreArguments {
  std::vector<std::string> folders;
  results::ScoreOptions options;
  bool json = false;
};

std::string number(const std::optional<double>& value, double unit, int digits, const char* suffix = "") {
  return value ? fmt::format("{:.{}f}{}", *value / unit, digits, suffix) : std::string("-");
}

std::string fate_of(const ScoredRun& run) {
  switch (run.fate) {
    case RunFate::counts:
      return "counts";
    case RunFate::fastest:
      return "fastest, dropped";
    case RunFate::slowest:
      return "slowest, dropped";
    case RunFate::excluded:
      return "left out: " + run.verdict;
  }
  return {};
}

void print_runs(const Score& score) {
  fmt::print("  {:<16}{:>10}{:>12}{:>7}{:>10}{:>10}{:>11}  {}\n", "run", "minutes", "samples", "evals", "eval min",
             "init min", "step s", "in the mean");
  for (const ScoredRun& run : score.runs) {
    const results::RunFacts& facts = run.facts;
    const std::optional<double> step = facts.steps ? std::optional(facts.steps->median) : std::nullopt;
    fmt::print("  {:<16}{:>10}{:>12}{:>7}{:>10}{:>10}{:>11}  {}\n", run.file, number(run.minutes, 1, 3),
               number(facts.samples, 1, 0), facts.evaluations, number(facts.evaluation_ms, 60000, 2),
               number(facts.init_ms, 60000, 2), number(step, 1, 4), fate_of(run));
  }
}

void print_steps(const results::StepSummary& steps) {
  const std::string source = steps.source == "train_step_time" ? "logged train_step_time"
                             : steps.source == "throughput"    ? "global batch / logged throughput"
                                                               : "time between block_start and block_stop";
  fmt::print("  steps: median {:.4f} s ({}, {} runs)", steps.median, source, steps.runs);
  if (steps.runs > 1)
    fmt::print(
        "; from run to run it spreads {:.2f} %, the time to train "
        "{:.1f} %, because that also counts how many "
        "evaluations it took",
        100 * steps.step_spread, 100 * steps.run_spread);
  fmt::print("\n");
}

void print_score(const Score& score) {
  fmt::print("{}: {}\n", score.folder, score.sentence());
  for (const std::string& problem : score.problems) fmt::print("  problem: {}\n", problem);
  print_runs(score);
  if (score.steps) print_steps(*score.steps);
  if (score.convergence_applies)
    fmt::print("  convergence: {}: {}\n", score.convergence.passed ? "pass" : "fail", score.convergence.explanation);
  if (score.scaling_file)
    fmt::print("  scaling.json would hold {} (printed only; nothing is written)\n", *score.scaling_file);
  for (const std::string& note : score.notes) fmt::print("  note: {}\n", note);
  if (const std::string footnote = score.footnote(); !footnote.empty()) fmt::print("  {}\n", footnote);
}

int score_one(const ScoreArguments& arguments, const std::string& folder, Json& scores) {
  try {
    const Score score = results::score_folder(folder, arguments.options);
    if (arguments.json) {
      scores.push_back(score.to_json());
    } else {
      print_score(score);
    }
    return score.passed() ? kSuccess : kFailedCheck;
  } catch (const DataError& error) {
    if (arguments.json) {
      scores.push_back(
          {{"schema", "timetrial.score/1"}, {"folder", folder}, {"passed", false}, {"sentence", error.what()}});
    } else {
      fmt::print("unusable: {}\n", error.what());
    }
    return kUserError;
  }
}

int score_all(const ScoreArguments& arguments) {
  Json scores = Json::array();
  int worst = kSuccess;
  for (const std::string& folder : arguments.folders) worst = std::max(worst, score_one(arguments, folder, scores));
  if (arguments.json) {
    const Json all = {{"schema", "timetrial.score_all/1"}, {"ruleset", arguments.options.ruleset}, {"folders", scores}};
    fmt::print("{}\n", all.dump(2, ' ', false, Json::error_handler_t::replace));
  }
  return worst;
}

}  // namespace

void add_score_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("score", "verdict and score of a result folder, by the MLPerf Training rules");
  command->footer(
      "Examples:\n"
      "  timetrial score results/<system>/gpt_oss_20b\n"
      "  timetrial score training_results_v5.1/*/results/*/llama31_405b "
      "--ruleset 5.1.0 --json > scores.json\n"
      "Reads result_*.txt of each folder. The time to train of a run is "
      "run_start to run_stop; the score is the mean of the\n"
      "runs without the fastest and the slowest. One log that breaks the rules "
      "counts as the slowest; two leave no score.\n"
      "Closed division: runs that converge faster than the reference are held "
      "against it (one-sided t-test). What chance\n"
      "explains is scaled back by reference samples / own samples, what it "
      "does not is rejected. Step times stand beside\n"
      "the score because they repeat; the time to train also counts how many "
      "evaluations it took.\n"
      "Runs of different variants, forms or configurations are not averaged, and every run has a seed of its own.\n"
      "No file is written, scaling.json neither. A score is \"unverified\" "
      "until MLCommons has reviewed it; keep that word\n"
      "and the footnote with the number. A small variant's time is no MLPerf "
      "result and carries neither.\n"
      "Exit code: 0 every folder has a score the rules accept, 1 one has not, "
      "2 a folder cannot be used.");
  auto arguments = std::make_shared<ScoreArguments>();
  command->add_option("DIR", arguments->folders, "folders with result_0.txt and its fellows")->required();
  command
      ->add_option("--ruleset", arguments->options.ruleset,
                   "version of the rules: 6.0.0, 5.1.0, or auto, which asks "
                   "the folder's name and the logs")
      ->capture_default_str();
  command->add_flag("--rcp-bypass", arguments->options.bypass,
                    "accept a failed convergence check, as the official "
                    "checker's flag of this name does");
  command->add_flag("--seed-checker-bypass", arguments->options.seed_bypass,
                    "accept seeds that are missing or stand in several logs, as the official checker's flag does");
  command->add_flag("--json", arguments->json, "print one JSON document (schema timetrial.score_all/1)");
  command->callback([arguments, &exit_code] { exit_code = score_all(*arguments); });
}

}  // namespace timetrial::apps
