// The referee at the gate: which configurations cannot be the benchmark that they claim to be.
// SPDX-License-Identifier: Apache-2.0
#include "config/config_fixture.h"

namespace timetrial {
namespace {

const Json& llama() {
  static const Json parsed = read_json_file(TIMETRIAL_SOURCE_DIR "/workloads/llama31_405b/benchmark.json");
  return parsed;
}

std::vector<std::string> breaches(const Json& rules, const std::string& variant, const Overrides& overrides) {
  Json user = user_config(variant);
  user["workload"] = rules["name"];
  return rule_breaches(user, rules, overrides, parse_run_config(user, rules, "x", overrides));
}

TEST(RuleBreaches, AreNoneForTheBenchmarkAndWhatItLeavesFree) {
  EXPECT_TRUE(breaches(benchmark(), "full", {}).empty());
  EXPECT_TRUE(breaches(benchmark(), "full", {{"train.learning_rate", "5e-4"}, {"train.global_batch", "32"}}).empty());
  EXPECT_TRUE(breaches(llama(), "full", {}).empty());
  EXPECT_TRUE(breaches(llama(), "full", {{"train.global_batch", "2304"}, {"train.seed", "7"}}).empty());
}

TEST(RuleBreaches, NameTheLearningRateOfTheBatch) {
  EXPECT_EQ(breaches(llama(), "full", {{"train.global_batch", "2304"}, {"train.learning_rate", "8e-5"}}),
            std::vector<std::string>{"/train/learning_rate: 8e-05, but the closed rules of llama31_405b fix 0.00016 "
                                     "(peak learning rate)"});
}

TEST(RuleBreaches, NameTheEvaluationSchedule) {
  const std::vector<std::string> found =
      breaches(llama(), "full", {{"evaluation.every_samples", "36864"}, {"evaluation.skip_first", "0"}});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0],
            "/evaluation/every_samples: 36864, but the closed rules of llama31_405b fix 18432 (training sequences "
            "between evaluations, rounded up to whole steps)");
  EXPECT_EQ(found[1].find("/evaluation/skip_first: 0, but the closed rules of llama31_405b fix 14"), 0u) << found[1];
}

TEST(RuleBreaches, NameABatchBelowTheSmallest) {
  Json rules = llama();
  rules["mlperf"]["smallest_batch"] = 15360;
  EXPECT_EQ(breaches(rules, "full", {{"train.global_batch", "15359"}}),
            std::vector<std::string>{
                "/train/global_batch: 15359, but the closed rules of llama31_405b allow no less than 15360"});
  EXPECT_TRUE(breaches(rules, "full", {{"train.global_batch", "15360"}}).empty());
}

TEST(RuleBreaches, OfTheModelAndItsFormCountToo) {
  EXPECT_EQ(breaches(benchmark(), "full", {{"model.layers", "2"}}).size(), 1u);
  EXPECT_EQ(breaches(benchmark(), "full", {{"model.sinks", "false"}}).size(), 1u);
}

TEST(RuleBreaches, AreLiftedByTheOpenDivisionButNotAll) {
  const Overrides open{{"submission.division", "open"}};
  const auto with = [&](Overrides overrides) {
    overrides.insert(overrides.end(), open.begin(), open.end());
    return breaches(benchmark(), "full", overrides);
  };
  EXPECT_TRUE(with({{"train.weight_decay", "0.2"}, {"evaluation.every_samples", "4096"}}).empty());
  EXPECT_EQ(with({{"model.sequence_length", "4096"}}).size(), 1u);
  EXPECT_EQ(with({{"evaluation.target", "3.5"}}).size(), 1u);
  EXPECT_TRUE(with({{"evaluation.target", "3.3"}}).empty());  // reaching it reaches the official one
}

TEST(RuleBreaches, AreNoneForAVariantWithRulesOfItsOwn) {
  EXPECT_TRUE(breaches(benchmark(), "1m", {{"train.weight_decay", "0.2"}}).empty());
  EXPECT_TRUE(breaches(llama(), "small", {}).empty());
}

}  // namespace
}  // namespace timetrial
