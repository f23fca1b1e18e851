// What a run is called and declares as scaled in the division it claims, and the rules in benchmark.json against the
// rule files that logs are checked by. SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "config/config_fixture.h"

namespace timetrial {
namespace {

RunConfig parse_of(const std::string& workload, const std::string& variant, Overrides overrides,
                   const std::string& division) {
  overrides.emplace_back("submission.division", division);
  const Json& rules = benchmark_of(workload);
  return parse_run_config(user_config_of(rules, variant), rules, "x", overrides);
}

std::set<std::string> scaled_keys(const RunConfig& run) {
  std::set<std::string> keys;
  for (const ScaledRule& rule : run.scaled_rules) keys.insert(rule.key);
  return keys;
}

TEST(OpenDivision, LeavesAFullRunFullWhateverItTrains) {
  for (const Overrides& overrides :
       {Overrides{{"train.weight_decay", "0.2"}},
        Overrides{{"train.max_steps", "20000"}, {"train.decay_steps", "19000"}},
        Overrides{{"train.beta_2", "0.99"}, {"train.clip_norm", "2"}}, Overrides{{"model.layers", "12"}},
        Overrides{{"evaluation.every_samples", "4096"}}, Overrides{{"evaluation.samples", "512"}}}) {
    const RunConfig open = parse_of("gpt_oss_20b", "full", overrides, "open");
    EXPECT_EQ(open.variant, "full") << overrides[0].first;
    EXPECT_EQ(open.form, "submitted") << overrides[0].first;
    EXPECT_TRUE(open.scaled_rules.empty()) << overrides[0].first;
    EXPECT_EQ(parse_run_config(effective_json(open), benchmark(), "x", {}), open) << overrides[0].first;
    EXPECT_EQ(parse_of("gpt_oss_20b", "full", overrides, "closed").variant, "custom") << overrides[0].first;
  }
  EXPECT_EQ(scaled_keys(parse_of("gpt_oss_20b", "full", {{"train.weight_decay", "0.2"}}, "closed")),
            std::set<std::string>{"opt_adamw_weight_decay"});
}

TEST(OpenDivision, StillNamesAFormByItsSwitches) {
  const RunConfig run = parse_of("gpt_oss_20b", "full", {{"model.sinks", "false"}}, "open");
  EXPECT_EQ(run.variant, "full");
  EXPECT_EQ(run.form, "custom");
}

TEST(OpenDivision, TakesTheNameWhereItsOwnRulesAreChanged) {
  EXPECT_EQ(parse_of("gpt_oss_20b", "full", {{"model.sequence_length", "4096"}}, "open").variant, "custom");
  EXPECT_EQ(parse_of("gpt_oss_20b", "full", {{"evaluation.target", "4"}}, "open").variant, "custom");
  EXPECT_EQ(parse_of("llama31_405b", "full", {{"evaluation.samples", "512"}}, "open").variant, "custom");
  EXPECT_EQ(parse_of("deepseekv3_671b", "full", {{"train.global_batch", "8192"}}, "open").variant, "custom");
  EXPECT_EQ(parse_of("deepseekv3_671b", "full", {{"model.router.aux_loss", "1e-4"}}, "open").variant, "full");
}

// Declaring any other key would be an error of its own: there is no rule to scale.
TEST(OpenDivision, DeclaresOnlyWhatItsRuleFilesLimit) {
  EXPECT_EQ(scaled_keys(parse_of("gpt_oss_20b", "small", {}, "open")),
            (std::set<std::string>{"max_sequence_length", "eval_accuracy"}));
  EXPECT_EQ(scaled_keys(parse_of("llama31_405b", "small", {}, "open")),
            (std::set<std::string>{"max_sequence_length", "eval_samples"}));  // 3.5 is below 5.6
  EXPECT_EQ(scaled_keys(parse_of("deepseekv3_671b", "small", {{"model.router.aux_loss", "1e-4"}}, "open")),
            (std::set<std::string>{"global_batch_size", "max_sequence_length", "eval_samples"}));
  EXPECT_EQ(scaled_keys(parse_of("gpt_oss_20b", "small", {}, "closed")),
            (std::set<std::string>{"max_sequence_length", "max_steps", "opt_learning_rate_decay_steps", "eval_samples",
                                   "eval_accuracy"}));
}

// What a rule file limits in a log; what no run here can write otherwise is left out.
std::set<std::string> limited_keys(const std::string& workload, const std::string& division) {
  const Json file =
      read_json_file(fmt::format("{}/src/mllog/rules/6.0.0/{}_{}.json", TIMETRIAL_SOURCE_DIR, division, workload));
  const std::set<std::string> always{"opt_name", "opt_learning_rate_decay_schedule", "gradient_accumulation_steps",
                                     "init_checkpoint_step"};
  std::set<std::string> keys;
  for (const Json& rule : file["keys"]) {
    const auto key = rule["key"].get<std::string>();
    const Json checks = rule.value("checks", Json::array());
    const bool limited = std::any_of(checks.begin(), checks.end(), [](const Json& check) {
      return check.contains("equals") || check.contains("at_least") || check.contains("equals_expression");
    });
    if ((limited || rule.contains("some_record")) && !always.contains(key)) keys.insert(key);
  }
  return keys;
}

TEST(BenchmarkRules, AreThoseOfTheRuleFiles) {
  for (const char* workload : {"gpt_oss_20b", "llama31_405b", "deepseekv3_671b"}) {
    std::set<std::string> closed, open;
    for (const Json& rule : benchmark_of(workload)["mlperf"]["rules"]) {
      closed.insert(rule["key"].get<std::string>());
      if (rule.value("open", false)) open.insert(rule["key"].get<std::string>());
    }
    EXPECT_EQ(closed, limited_keys(workload, "closed")) << workload;
    EXPECT_EQ(open, limited_keys(workload, "open")) << workload;
  }
}

}  // namespace
}  // namespace timetrial
