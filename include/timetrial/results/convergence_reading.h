// What the convergence check sees of a log: batch size, benchmark, and the samples at which the target was met.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "timetrial/base/json.h"

namespace timetrial::results {

// Epochs or samples that stand for "never", so that an unconverged run is the slowest.
inline constexpr double kNever = 1e9;

struct ConvergenceReading {
  std::optional<Json> batch;      // value of the last line that names global_batch_size
  std::optional<Json> benchmark;  // of the last line that names submission_benchmark
  bool converged = false;         // a run_stop with status "success", and none with another status after it
  double reached = kNever;        // samples or epochs at the last evaluation before that run_stop
  int64_t trouble_line = 0;
  std::string trouble;  // why the official reader dies on this log; empty: it does not
};

// Reads a log as the official convergence checker does (rules digest 3.1), which is not how its compliance checker
// reads: the last record of each line is searched for words anywhere in its text, so any record that mentions one
// counts. Records without time stamps are fine, and a broken record matters only if it holds one of the words. What
// makes that program crash becomes `trouble`, and reading ends there. Thread-safe.
ConvergenceReading read_convergence(std::string_view content);

// The same for a file. Throws DataError when it cannot be read.
ConvergenceReading read_convergence_file(const std::string& path);

}  // namespace timetrial::results
