// Which ruleset judges a log: the one that was asked for, or the one of its round.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "mllog/rule_engine.h"

namespace timetrial::mllog {

class RulesetShelf;

struct RulesetChoice {
  std::string version;
  const char* chosen_by;                // "option", "folder", "benchmark" or "default"
  const RulesetShelf* shelf = nullptr;  // set while the log's benchmark may still change the choice

  // Nothing when this choice stays now that the benchmark is known.
  std::optional<RulesetChoice> better_for(const std::string& benchmark) const;
};

// The rulesets that a checker may need, with their indices. Immutable, so thread-safe.
class RulesetShelf {
 public:
  // `wanted`: a version, or kAutomaticRuleset. Throws UserError for an unknown version.
  explicit RulesetShelf(const std::string& wanted);

  // The choice before anything of the log was read.
  RulesetChoice choice_for(const std::string& path) const;
  const Ruleset& ruleset(const std::string& version) const { return rulesets_.at(version)->ruleset; }
  const RuleIndex& index(const std::string& version) const { return rulesets_.at(version)->index; }

 private:
  friend struct RulesetChoice;
  struct Entry {
    explicit Entry(const std::string& version) : ruleset(load_ruleset(version)), index(ruleset) {}
    Ruleset ruleset;
    RuleIndex index;
  };
  bool automatic_;
  std::string newest_;
  std::map<std::string, std::unique_ptr<const Entry>> rulesets_;
};

}  // namespace timetrial::mllog
