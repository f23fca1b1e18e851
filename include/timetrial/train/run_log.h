// RunLog: the events of a run in the order and with the keys that MLPerf's rules ask for (spec 13).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "timetrial/config/run_config.h"
#include "timetrial/device/sensors.h"
#include "timetrial/mllog/writer.h"
#include "timetrial/train/reporter.h"

namespace timetrial {

// Members are called in the order they stand here. Whatever ends the run, `run_stop` closes the log, with the intervals
// that are open: an evaluation, a block, the epoch. A RunLog that is destroyed before closes it as aborted; a run that
// ends before its clock started leaves a run_stop without a run_start. Throws UserError when the log cannot be made and
// Error when it cannot be written.
class RunLog {
 public:
  // Makes config.output.folder/result_0.txt. Throws UserError when it exists.
  explicit RunLog(const RunConfig& config);
  RunLog() = default;  // writes nothing: of a rank whose run another rank logs
  ~RunLog();

  // `time_ms`: when this process began to build what it trains (Unix milliseconds), which is before a run has a log: a
  // run that is refused leaves none.
  void init_start(bool caches_cleared, int64_t time_ms);
  // Everything the run was asked to do: submission, hyperparameters, schedule, parallelism, precision, effective
  // configuration.
  void configuration(const RunConfig& config, int64_t training_samples);
  void seed_drawn(bool drawn);  // by this program, or false: given by the user
  // What computes: a GPU's facts as its driver gives them, or `note` in their place why they are not known.
  void device(const DeviceIdentity& identity, const std::string& note);
  void evaluation_only();  // says that this log is of an evaluation alone
  // Something the user should know of this run; the same that is printed.
  void warning(const std::string& text);
  // Where the environment variables of all ranks stand: a file beside the log, how many rank 0 has, and how many ranks
  // have others.
  void environment(const std::string& file, int64_t variables, int64_t ranks_that_differ);
  // Model::choices, once per run.
  void libraries(const std::vector<std::string>& choices);
  void init_stop();
  void run_start();
  void block_start(int64_t samples);
  void train_step(const StepReport& report, double seconds);
  void block_stop(int64_t samples);
  void evaluation_start(int64_t samples);
  void evaluation_result(const EvaluationReport& report);
  void evaluation_stop(int64_t samples);
  void run_stop(const std::string& status, int64_t samples);  // "success" or "aborted"

  void flush() {
    if (writer_) writer_->flush();
  }
  std::string path() const { return writer_ ? writer_->path() : ""; }

 private:
  std::optional<mllog::Writer> writer_;
  bool started_ = false, running_ = false, in_block_ = false, in_evaluation_ = false, closed_ = false;
  int64_t samples_ = 0;
};

}  // namespace timetrial
