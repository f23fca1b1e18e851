// check_batch: many logs judged side by side, and one sentence on all of them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "timetrial/base/json.h"
#include "timetrial/mllog/check.h"
#include "timetrial/mllog/log_files.h"

namespace timetrial::mllog {

struct CheckedLog {
  std::string path;
  std::optional<CheckReport> report;
  std::string unusable;  // without a report: one line that names the path and says why
};

struct CheckBatch {
  std::string ruleset;           // as asked for
  std::vector<CheckedLog> logs;  // in the order of the request, however many threads there were
  int64_t passed = 0;            // without and with scaled rules
  int64_t scaled = 0;            // of `passed`: those that scale rules
  int64_t small_variants = 0;    // of `passed`: no MLPerf results, because they scale rules or are another variant
  int64_t failed = 0, unfinished = 0;  // `failed` without the unfinished
  int64_t unusable = 0;

  // "all 3 logs pass (ruleset 6.0.0)", "98 of 100 logs pass (ruleset 5.1.0); 1 fails, 1 is unfinished".
  std::string verdict_sentence() const;
  // Schema "timetrial.check_all/1" (docs/cli/check.md); fields only get added under that name.
  Json to_json() const;
};

// `threads`: at most so many logs at once; 0 takes the machine's. Memory grows with the number of logs, not with their
// size. A log that cannot be used is part of the result; everything else that is thrown passes through.
CheckBatch check_batch(const Checker& checker, const std::vector<FoundLog>& logs, int threads = 0);

}  // namespace timetrial::mllog
