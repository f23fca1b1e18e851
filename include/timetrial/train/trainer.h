// Trainer: the run. Warm-up, clock, steps, evaluations, stop at the target.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <optional>

#include "timetrial/data/batch_source.h"
#include "timetrial/train/executor.h"
#include "timetrial/train/reporter.h"
#include "timetrial/train/run_log.h"

namespace timetrial {

enum class Outcome { target_reached, step_limit, interrupted, diverged };

struct RunResult {
  Outcome outcome = Outcome::step_limit;
  int64_t steps = 0, samples = 0;
  double seconds = 0;          // run start to run stop: the time to train when the target was reached
  double evaluation_loss = 0;  // the last one; NaN before the first
};

// Mean nats per token over the whole evaluation set.
double evaluate_all(Executor& executor, DataProvider& data, int64_t sequence_length);

// One rank's run. Everything it needs is made by the caller before the clock starts; see apps/timetrial_worker.cpp.
class Trainer {
 public:
  // `interrupt` holds the number of a signal once one came; the run then closes its log as aborted after the current
  // step.
  Trainer(const RunConfig& config, Executor& executor, DataProvider& data, RunLog& log, Reporter& reporter,
          const std::atomic<int>& interrupt);

  // From warm-up to the last record. Training data is touched only after run_start is in the log. Throws what the data
  // or the log throws; the log is then closed as aborted.
  RunResult run();

 private:
  void warm_up();
  void step(BatchSource& batches);
  void collect();  // takes the result of the last queued step, one step late
  double evaluate();
  Outcome train(BatchSource& batches);
  int64_t samples() const { return steps_ * config_.train.global_batch; }

  const RunConfig& config_;
  Executor& executor_;
  DataProvider& data_;
  RunLog& log_;
  Reporter& reporter_;
  const std::atomic<int>& interrupt_;

  struct Queued {
    int64_t step;
    double learning_rate, started;
  };
  std::optional<Queued> queued_;
  int64_t steps_ = 0;
  double run_started_ = 0, collected_ = 0, last_evaluation_ = 0;
  bool finite_ = true;
};

}  // namespace timetrial
