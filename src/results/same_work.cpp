// Groups the runs by what they say of each fact.
// SPDX-License-Identifier: Apache-2.0
#include "results/same_work.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "results/json_value.h"
#include "results/names.h"

namespace timetrial::results {

namespace {

struct Fact {
  const char* plural;
  std::function<std::string(const RunFacts&)> of;  // empty: the log does not say
};

Fact text(const char* plural, std::string RunFacts::*field) {
  return {plural, [field](const RunFacts& facts) { return facts.*field; }};
}

Fact batch() {
  return {"global batch sizes",
          [](const RunFacts& facts) { return facts.batch ? json_of(facts.batch).dump() : std::string(); }};
}

struct Group {
  std::string value;
  std::vector<std::string> files;
};

// Empty when all runs say the same.
std::string difference(const std::vector<ScoredRun>& runs, const Fact& fact) {
  std::vector<Group> groups;
  for (const ScoredRun& run : runs) {
    const std::string value = fact.of(run.facts);
    if (value.empty() && run.fate == RunFate::excluded) continue;
    auto group = std::find_if(groups.begin(), groups.end(), [&](const Group& one) { return one.value == value; });
    if (group == groups.end()) group = groups.insert(groups.end(), {value, {}});
    group->files.push_back(run.file);
  }
  if (groups.size() < 2) return {};
  std::vector<std::string> words;
  for (const Group& group : groups)
    words.push_back(fmt::format("{} ({})", group.value.empty() ? "none named" : group.value, names(group.files)));
  return fmt::format("the runs are of different {}: {}", fact.plural, fmt::join(words, ", "));
}

}  // namespace

std::vector<std::string> different_work(const std::vector<ScoredRun>& runs, bool small_variant) {
  std::vector<Fact> facts = {text("benchmarks", &RunFacts::benchmark), text("divisions", &RunFacts::division),
                             text("variants", &RunFacts::variant), text("forms", &RunFacts::form)};
  if (small_variant) facts.push_back(batch());
  std::vector<std::string> problems;
  for (const Fact& fact : facts)
    if (const std::string problem = difference(runs, fact); !problem.empty()) problems.push_back(problem);
  if (!problems.empty()) return problems;
  const std::string other = difference(runs, text("configurations", &RunFacts::config_hash));
  if (!other.empty()) problems.push_back(other + "; their timetrial_effective_config records say in what");
  return problems;
}

}  // namespace timetrial::results
