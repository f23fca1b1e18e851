// Scaled rules: reading a log's declarations, and the ruleset a small variant must hold instead.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "mllog/rule.h"
#include "mllog/rule_engine.h"
#include "timetrial/mllog/check.h"
#include "timetrial/mllog/reader.h"

namespace timetrial::mllog {

// The declarations in the log, in order. What cannot be understood, and a key declared twice, becomes an error.
std::vector<ScaledCheck> declared_in(const std::vector<Record>& records, std::vector<Finding>& errors);

// The ruleset with each scaled key's limits on its value replaced by the declared value, or its target by the declared
// target.
Ruleset scale(const Ruleset& full, const std::vector<ScaledCheck>& scaled);

// What the declaration itself gets wrong, judged by the full rules: a key that no applied rule limits, one whose full
// rule holds. The others are added to `findings`.
std::vector<Finding> judge_declarations(const std::vector<ScaledCheck>& scaled, const Judgement& full,
                                        std::vector<ScaledFinding>& findings);

}  // namespace timetrial::mllog
