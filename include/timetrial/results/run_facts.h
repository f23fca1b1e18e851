// RunFacts: what one log says about its run: times, samples, steps, batch, layout.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "timetrial/base/json.h"
#include "timetrial/results/seeds.h"

namespace timetrial::results {

// Seconds of a training step over a run, from what the log offers.
struct StepTimes {
  std::string
      source;         // "train_step_time" (tracked_stats), "throughput" (global batch / samples per second) or "blocks"
  int64_t count = 0;  // values; a source may log one value per step or one per block of steps
  double mean = 0, median = 0, p10 = 0, p90 = 0, most = 0;
};

// Every figure is absent when the log does not hold it as a finite number; texts are then empty.
struct RunFacts {
  std::optional<double> run_ms;      // run_stop - run_start
  std::optional<double> init_ms;     // init_stop - first init_start
  std::optional<double> started_ms;  // run_start, Unix milliseconds
  std::optional<double> samples;     // metadata.samples_count of the last evaluation
  std::optional<double> loss;        // value of the last evaluation
  int64_t evaluations = 0;           // eval_accuracy records
  double evaluation_ms = 0;          // between eval_start and eval_stop, all of them together
  std::optional<double> batch, accumulation, micro_batch, seed;
  std::optional<double> tensor, pipeline, context, expert;  // degrees of parallelism; logged from round 6.0 on
  std::string linear_precision, attention_precision, communication_precision;  // likewise
  std::string benchmark, division, organization, platform;
  std::string variant, form, config_hash;  // in this program's own logs alone (mllog/own_keys.h)
  std::string status;                      // of run_stop
  std::optional<StepTimes> steps;
  SeedReading seeds;
};

// Reads them off a log; of a key that stands several times the last record counts, of run_stop the first. Odd values
// are no error: a number written as text, NaN or an object where a number belongs leaves its figure absent. Throws
// DataError when the file cannot be read. Thread-safe.
RunFacts read_run_facts(const std::string& path);

// One JSON object; absent figures are null.
Json to_json(const StepTimes& steps);
Json to_json(const RunFacts& facts);

}  // namespace timetrial::results
