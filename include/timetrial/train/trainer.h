// Trainer: the run. Warm-up, clock, steps, evaluations, stop at the target.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <deque>
#include <optional>

#include "timetrial/data/batch_source.h"
#include "timetrial/train/executor.h"
#include "timetrial/train/reporter.h"
#include "timetrial/train/run_log.h"
#include "timetrial/train/step_deadline.h"

namespace timetrial {

enum class Outcome { target_reached, step_limit, interrupted, diverged };

// Seconds of the training thread between run start and run stop, by what it did. What is in none of them (the loop, the
// schedule, opening the data) is the difference to RunResult::seconds.
struct TimeSplit {
  double data = 0;        // waiting for the next training batch
  double step = 0;        // queueing a step and waiting for its result
  double evaluation = 0;  // all of it: data, model, log
  double log = 0;         // handing records of training to the log
  double progress = 0;    // telling a person
};

struct RunResult {
  Outcome outcome = Outcome::step_limit;
  int64_t steps = 0, samples = 0;
  double seconds = 0;          // run start to run stop: the time to train when the target was reached
  double evaluation_loss = 0;  // the last one; NaN before the first
  StepReport last_step = {};   // the last one whose values have come back; step 0: none
  TimeSplit split = {};
  int signal = 0;  // what interrupted it: this rank's, or another's
};

// Mean nats per token over the whole evaluation set, each rank its share; the same on every rank. None when `interrupt`
// became a signal's number on any rank on the way.
std::optional<double> evaluate_all(Executor& executor, DataProvider& data, int64_t sequence_length,
                                   const std::atomic<int>& interrupt);

// Collective: the largest number of a signal that any rank has; 0: none has.
int agreed_signal(Executor& executor, const std::atomic<int>& interrupt);

// One rank's run; every rank has a Trainer, and all come to the same decisions. Everything it needs is made by the
// caller before the clock starts; see apps/train_run.cpp.
class Trainer {
 public:
  // `interrupt` holds the number of a signal once one came; the run then closes its log as aborted after the current
  // step, or in an evaluation after the current batch. Before run start the log then ends with a run_stop alone.
  Trainer(const RunConfig& config, Executor& executor, DataProvider& data, RunLog& log, Reporter& reporter,
          const std::atomic<int>& interrupt);

  // Brackets this many steps, once the first few are over, for a profiler that waits for it (device/trace.h).
  void trace_steps(int64_t count) { traced_steps_ = count; }
  // From warm-up to the last record. Training data is touched only after run_start is in the log. Throws what the data
  // or the log throws; the log is then closed as aborted.
  RunResult run();

 private:
  bool warm_up();  // false: interrupted
  int agreed_signal();
  void check_equal_weights(const std::string& hash);
  void step(BatchSource& batches);
  void start_or_stop_trace();
  void collect();  // takes the result of the oldest step under way
  void collect_all();
  std::optional<double> evaluate();  // none: interrupted
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
    double finished;  // on the CPU, where a step is done when its call returns; on a GPU 0: when its result comes
    std::optional<CommLane::Times> communication;  // up to then
    Executor::Ticket ticket;
  };
  std::deque<Queued> queued_;  // at most two: a step's result is taken while the next one runs
  int64_t steps_ = 0;
  int64_t traced_steps_ = 0;
  bool tracing_ = false;
  CommLane::Times communicated_;  // up to the last step collected
  double run_started_ = 0, collected_ = 0, last_evaluation_ = 0;
  StepReport last_step_;
  bool finite_ = true;
  int signal_ = 0;  // that any rank got, as all ranks know it
  StepDeadline deadline_;
  TimeSplit split_;
};

}  // namespace timetrial
