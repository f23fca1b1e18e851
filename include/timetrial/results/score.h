// score_folder: what the logs of one benchmark folder are worth, and why.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "timetrial/base/json.h"
#include "timetrial/results/convergence.h"
#include "timetrial/results/run_facts.h"

namespace timetrial::results {

enum class RunFate {
  counts,
  fastest,   // dropped as the rules want it
  slowest,   // likewise
  excluded,  // breaks the rules or cannot be timed; the first of these takes the place of the slowest
};

// "counts", "fastest", ...
const char* name_of(RunFate fate);

struct ScoredRun {
  std::string file;  // name in the folder
  RunFate fate = RunFate::counts;
  bool compliant = false;         // passes `timetrial check`
  bool small_variant = false;     // as that check has it: no MLPerf result
  std::string verdict;            // that check's sentence, or why the file cannot be used
  std::optional<double> minutes;  // run_start to run_stop
  RunFacts facts;
  ConvergenceReading reading;
};

// How steady the runs were. Step time repeats; the time to train also counts where the evaluations fall.
struct StepSummary {
  std::string source;
  int64_t runs = 0;        // that log step times from this source
  double median = 0;       // seconds; median over the runs of each run's median
  double step_spread = 0;  // (largest - smallest run median) / median
  double run_spread = 0;   // the same of the times to train of these runs
};

struct Score {
  std::string folder, ruleset, benchmark, division;
  std::vector<ScoredRun> runs;  // by name
  int runs_required = 0;        // 0: unknown
  bool variant = false;         // a small variant: no MLPerf result, no convergence check, no reference
  // Without fastest and slowest; of a variant with fewer than three runs, of all. None of runs that did different work.
  std::optional<double> mean_minutes;
  std::optional<double> minutes;  // mean_minutes x factor: the score
  ConvergenceVerdict convergence;
  bool convergence_applies = false;          // closed division; so do the seeds
  SeedVerdict seeds;                         // judged in every division, a problem in the closed one
  std::optional<std::string> scaling_file;   // what the official package checker would write, never written here
  std::optional<double> scaling_file_there;  // factor in the folder's own scaling.json
  std::optional<StepSummary> steps;
  std::vector<std::string> problems;  // what keeps this from being a score the rules accept; empty: nothing
  std::vector<std::string> notes;     // worth knowing, changes nothing

  // A score the rules accept; for a variant, every run follows its scaled rules and met its target.
  bool passed() const { return problems.empty() && minutes.has_value(); }
  std::string sentence() const;
  // "unverified [1] ..." or why there is no such footnote to write.
  std::string footnote() const;
  // Schema "timetrial.score/1"; fields only get added under that name.
  Json to_json() const;
};

struct ScoreOptions {
  std::string ruleset = "auto";  // as CheckOptions::ruleset; the logs must agree on it
  bool bypass = false;           // accept a failed convergence check, as the official --rcp-bypass does
  int threads = 0;               // files side by side; 0: one per core
  bool seed_bypass = false;      // accept seeds that fail, as the official --seed-checker-bypass does
};

// Scores the files result_*.txt of `folder` by the rules of digest 3 and 4: each file is checked against the rules, a
// file that fails is the one slowest run that may be dropped, two leave no score. Runs of different benchmarks,
// divisions, variants, forms or configurations (spec 18.1) are not averaged at all, small variants no more than others.
// A file that cannot be read counts as failed and is named. Nothing is written. Throws DataError when the folder is
// none, cannot be read or holds no such file, and UserError for an unknown ruleset.
Score score_folder(const std::string& folder, const ScoreOptions& options = {});

}  // namespace timetrial::results
