// The choice: by option, by a folder named after a round, by benchmark.
// SPDX-License-Identifier: Apache-2.0
#include "mllog/ruleset_choice.h"

#include <algorithm>
#include <filesystem>

namespace timetrial::mllog {

namespace {

bool knows(const Ruleset& ruleset, const std::string& benchmark) {
  const std::vector<std::string> names = benchmarks_of(ruleset);
  return std::find(names.begin(), names.end(), benchmark) != names.end();
}

// "training_results_v5.1" for 5.1.0, as MLCommons names the repositories of its rounds.
std::string round_folder(const std::string& version) {
  return "training_results_v" + version.substr(0, version.rfind('.'));
}

}  // namespace

RulesetShelf::RulesetShelf(const std::string& wanted) : automatic_(wanted == kAutomaticRuleset) {
  for (const std::string& version : automatic_ ? known_rulesets() : std::vector<std::string>{wanted}) {
    rulesets_.emplace(version, std::make_unique<const Entry>(version));
    newest_ = version;
  }
}

RulesetChoice RulesetShelf::choice_for(const std::string& path) const {
  if (!automatic_) return {newest_, "option"};
  std::error_code unknown;
  for (const std::filesystem::path& part : std::filesystem::absolute(path, unknown))
    for (const auto& [version, entry] : rulesets_)
      if (part.string().rfind(round_folder(version), 0) == 0) return {version, "folder"};
  return {newest_, "default", this};
}

std::optional<RulesetChoice> RulesetChoice::better_for(const std::string& benchmark) const {
  if (shelf == nullptr || knows(shelf->ruleset(version), benchmark)) return std::nullopt;
  for (auto entry = shelf->rulesets_.rbegin(); entry != shelf->rulesets_.rend(); ++entry)
    if (knows(entry->second->ruleset, benchmark)) return RulesetChoice{entry->first, "benchmark"};
  return std::nullopt;
}

}  // namespace timetrial::mllog
