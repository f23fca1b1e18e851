// apply_rules: walks a log once per rule file, the way the official checker does (rules digest 2.1).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mllog/rule.h"
#include "timetrial/mllog/check.h"
#include "timetrial/mllog/reader.h"

namespace timetrial::mllog {

struct Judgement {
  // At most one finding per key, the last; a rule file that redefines a key drops the earlier ones.
  std::map<std::string, Finding> errors, warnings;
  // Findings that no later file drops.
  std::vector<Finding> lasting;
  std::vector<const RuleFile*> applied;  // in order; into the ruleset
  std::map<std::string, int64_t> seen;   // every ruled key: how many records
  std::string missing_rules;             // a rule file the log asks for rightly and the ruleset lacks; empty: none
};

// The judgement points into `ruleset`, which must outlive it.
Judgement apply_rules(const std::vector<Record>& records, const Ruleset& ruleset);

}  // namespace timetrial::mllog
