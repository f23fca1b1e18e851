// What a run logs under official keys, and where that differs from the full benchmark.
// SPDX-License-Identifier: Apache-2.0
#include "scaled_rules.h"

#include <algorithm>

#include "benchmark_rules.h"
#include "timetrial/base/error.h"

namespace timetrial {

namespace {

Json logged_value(const std::vector<config::Field>& fields, const RunConfig& run, const std::string& log_key) {
  const std::string key = config::config_key(log_key);
  const auto field =
      std::find_if(fields.begin(), fields.end(), [&](const config::Field& one) { return one.key == key; });
  TIMETRIAL_CHECK(field != fields.end(), "{} is no key of a configuration", key);
  return field->get(run);
}

}  // namespace

Json expected_value(const RunConfig& run, const std::string& log_key) {
  return logged_value(config::make_fields(), run, log_key);
}

namespace config {

std::vector<ScaledRule> scaled_rules(const std::vector<Field>& fields, const Json& benchmark, const RunConfig& run,
                                     const Values& free) {
  const Names full{.variant = full_variant(benchmark),
                   .form = member(benchmark, "default_form", "").get<std::string>()};
  const RunConfig official = build(fields, laid_over(default_values(fields, benchmark, full), free), Unfit::leave_out);
  std::vector<ScaledRule> rules;
  for (const Json& rule : rules_of_division(benchmark, run)) {
    const auto key = member(rule, "key", "/mlperf/rules").get<std::string>();
    const Json expected = logged_value(fields, run, key), wanted = logged_value(fields, official, key);
    if (expected == wanted) continue;
    // The rule asks for a loss of at most the target: a run that goes on below it holds the rule.
    if (key == "eval_accuracy" && run.evaluation.target < official.evaluation.target) continue;
    const auto meaning = member(rule, "description", "/mlperf/rules").get<std::string>();
    rules.push_back({key, fmt::format("{}: {} instead of {}", meaning, expected.dump(), wanted.dump())});
  }
  return rules;
}

}  // namespace config

}  // namespace timetrial
