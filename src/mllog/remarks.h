// Remarks: what a reviewer would ask about although no rule of the checker forbids it. Few, and only where sure.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mllog/rule.h"
#include "timetrial/mllog/check.h"
#include "timetrial/mllog/reader.h"

namespace timetrial::mllog {

// What remarks need to know beyond the log.
struct RemarkContext {
  std::string path;
  std::vector<const RuleFile*> applied;  // the rule files that judged the log
  bool small_variant = false;            // the benchmark's schedule and target are no yardstick
};

// An evaluation as logged.
struct Evaluation {
  int64_t line = 0;
  double samples = 0, value = 0;  // NaN when not a number
};

// One log, record by record. Memory does not grow with the log: beyond kMostEvaluations nothing is said on them.
class RemarkCollector {
 public:
  static constexpr size_t kMostEvaluations = 100000;

  // Whether add() needs the values of records of this key.
  static bool wants(std::string_view key);
  // For every record.
  void see(const RecordHeader& header);
  // For every record that is wanted, after see().
  void add(const Record& record);
  // The judgement's time limit for the initialisation comes with the division that was logged.
  std::vector<Finding> finish(const RemarkContext& context) const;

 private:
  // Records of an interval's two keys.
  struct Interval {
    std::string_view start, stop;
    int64_t open = 0;
    int64_t starts_while_open = 0, stops_while_closed = 0, first_line = 0;
  };

  const Record* last_of(std::string_view key) const;
  void placeholders(std::vector<Finding>& out) const;
  void status(std::vector<Finding>& out) const;
  void seed(const RemarkContext& context, std::vector<Finding>& out) const;
  void clock_steps(std::vector<Finding>& out) const;
  void intervals(std::vector<Finding>& out) const;
  void initialisation(std::vector<Finding>& out) const;
  void batch_arithmetic(std::vector<Finding>& out) const;

  std::map<std::string, Record, std::less<>> last_;  // the last record of each wanted key but eval_accuracy
  std::vector<Evaluation> evaluations_;
  bool too_many_evaluations_ = false;
  std::optional<double> first_init_start_;  // the earliest time stamp
  std::optional<Record> cold_cache_;        // the first cache_clear that says false
  std::array<Interval, 5> intervals_ = {{{"init_start", "init_stop"},
                                         {"run_start", "run_stop"},
                                         {"epoch_start", "epoch_stop"},
                                         {"block_start", "block_stop"},
                                         {"eval_start", "eval_stop"}}};
  std::optional<double> time_before_;
  int64_t steps_back_ = 0, first_step_line_ = 0;
  double worst_step_ms_ = 0;
  std::string first_step_key_;
};

// On the evaluations: their distance, the first of them, training on after the target was met. `batch` is the logged
// global_batch_size, absent when it is no positive number.
std::vector<Finding> evaluation_remarks(const std::vector<Evaluation>& evaluations, std::optional<double> batch,
                                        const RemarkContext& context);

// On the folder that a submission's log lies in, <org>/results/<system>/<benchmark>/result_<n>.txt, against what the
// log says. Nothing for logs elsewhere.
std::vector<Finding> folder_remarks(const std::string& path, const Record* organization, const Record* benchmark);

// A remark on a record.
Finding remark(const std::string& key, int64_t line, std::string rule, std::string found, std::string advice);

}  // namespace timetrial::mllog
