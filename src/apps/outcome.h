// The end of a run: what the rules say of its log, the one line, the JSON, the exit code.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "timetrial/train/trainer.h"

namespace timetrial::apps {

// What the rules say of a finished log.
struct Verdict {
  bool passed;
  size_t scaled;
  std::string text;  // "rules: pass, 5 scaled, not an MLPerf result"
};

// A workload that is no `benchmark` has no rules; its log must be readable all the same.
Verdict judge(const std::string& log, bool benchmark);

// "gpt_oss_20b/small  target 3.50 reached: ...  (rules: pass, 5 scaled, not an MLPerf result)  log: ..."
std::string outcome_text(const RunConfig& config, const RunResult& result, const Verdict& verdict,
                         const std::string& log);
Json outcome_json(const RunConfig& config, const RunResult& result, const Verdict& verdict, const std::string& log);

// Tokens trained on per second of training: evaluations and their waits left out.
double tokens_per_second(const RunConfig& config, const RunResult& result);

// One line of microseconds per step by what the training thread did.
std::string time_per_step(const RunResult& result);

int exit_code_of(const RunResult& result, bool rules_hold);

}  // namespace timetrial::apps
