// The rulesets inside this program, by version.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/ranges.h>

#include "mllog/rule.h"
#include "timetrial/base/error.h"
#include "timetrial/mllog/check.h"

namespace timetrial::embedded {
// Each a JSON list of the rule files in src/mllog/rules/<version>/.
extern const std::string_view rules_5_1_0;
extern const std::string_view rules_6_0_0;
}  // namespace timetrial::embedded

namespace timetrial::mllog {

namespace {

struct Embedded {
  std::string_view version, files;
};

std::vector<Embedded> embedded_rulesets() {
  return {{"5.1.0", embedded::rules_5_1_0}, {"6.0.0", embedded::rules_6_0_0}};
}

}  // namespace

std::vector<std::string> known_rulesets() {
  std::vector<std::string> versions;
  for (const Embedded& ruleset : embedded_rulesets()) versions.emplace_back(ruleset.version);
  return versions;
}

Ruleset load_ruleset(std::string_view version) {
  for (const Embedded& known : embedded_rulesets()) {
    if (known.version != version) continue;
    Ruleset ruleset;
    ruleset.version = version;
    for (const Json& file : parse_json(known.files, fmt::format("rules {}", version))) {
      RuleFile rules = parse_rules(file);
      const std::string name = rules.name;
      TIMETRIAL_CHECK(ruleset.files.emplace(name, std::move(rules)).second, "rules {} {} twice", version, name);
    }
    return ruleset;
  }
  throw UserError(
      fmt::format("ruleset \"{}\" is not in this program; it has {}", version, fmt::join(known_rulesets(), ", ")));
}

std::vector<std::string> benchmarks_of(const Ruleset& ruleset) {
  const RuleFile& file = ruleset.files.at("closed_common");
  for (const KeyRule& rule : file.keys)
    if (rule.key == "submission_benchmark") return rule.checks.at(0).operand.get<std::vector<std::string>>();
  throw Error(fmt::format("rules {} do not limit submission_benchmark", ruleset.version));
}

}  // namespace timetrial::mllog
