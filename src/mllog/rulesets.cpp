// The rulesets inside this program, by version.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/ranges.h>

#include "mllog/rule.h"
#include "timetrial/base/error.h"

namespace timetrial::embedded {
extern const std::string_view rules_6_0_0_common;
extern const std::string_view rules_6_0_0_closed_common;
extern const std::string_view rules_6_0_0_closed_gpt_oss_20b;
extern const std::string_view rules_6_0_0_open_common;
extern const std::string_view rules_6_0_0_open_gpt_oss_20b;
}  // namespace timetrial::embedded

namespace timetrial::mllog {

Ruleset load_ruleset(std::string_view version) {
  const std::map<std::string_view, std::vector<std::string_view>> known = {
      {"6.0.0",
       {embedded::rules_6_0_0_common, embedded::rules_6_0_0_closed_common, embedded::rules_6_0_0_closed_gpt_oss_20b,
        embedded::rules_6_0_0_open_common, embedded::rules_6_0_0_open_gpt_oss_20b}},
  };
  const auto found = known.find(version);
  if (found == known.end()) {
    std::vector<std::string_view> versions;
    for (const auto& entry : known) versions.push_back(entry.first);
    throw UserError(
        fmt::format("ruleset \"{}\" is not in this program; it has {}", version, fmt::join(versions, ", ")));
  }
  Ruleset ruleset;
  ruleset.version = version;
  for (const std::string_view text : found->second) {
    RuleFile file = parse_rules(parse_json(text, "rule file"));
    const std::string name = file.name;
    ruleset.files.emplace(name, std::move(file));
  }
  return ruleset;
}

}  // namespace timetrial::mllog
