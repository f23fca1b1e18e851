// The referee at the gate: which configurations cannot be the benchmark that they claim to be.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

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
  if (rules["name"] == "llama31_405b") user["data"]["train"] = Json::array({"data/en_6", "data/en_7"});
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

// Spec 9.2: en_6 and en_7, half and half.
TEST(RuleBreaches, NameABlendThatIsNotHalfAndHalf) {
  const std::string rules = "the closed rules of llama31_405b train on 2 files in equal shares";
  EXPECT_EQ(breaches(llama(), "full", {{"data.train", "data/en_6"}}),
            std::vector<std::string>{"/data/train: [\"data/en_6\"], but " + rules + "; name each file once"});
  EXPECT_EQ(breaches(llama(), "full", {{"data.train", R"(["a", "a"])"}}).size(), 1u);
  EXPECT_EQ(breaches(llama(), "full", {{"data.train", R"(["a", "b", "c"])"}}).size(), 1u);
  EXPECT_EQ(breaches(llama(), "full", {{"data.train_weights", "[1, 3]"}}),
            std::vector<std::string>{"/data/train_weights: [1.0,3.0], but " + rules + "; leave the weights out"});
  EXPECT_TRUE(breaches(llama(), "full", {{"data.train_weights", "[3, 3]"}}).empty());
  EXPECT_TRUE(breaches(llama(), "full", {{"data.train", "a"}, {"submission.division", "open"}}).empty());
  EXPECT_TRUE(breaches(benchmark(), "full", {{"data.train", R"(["a", "b"])"}}).empty());
  EXPECT_TRUE(breaches(llama(), "small", {{"data.train", "a"}}).empty());
}

// Spec 11.1: learning rate x 1152 == batch x 8e-5 in doubles. At 1280 the unrounded rate holds it; at 1176
// neither it nor a neighbour does.
TEST(RuleBreaches, NameABatchThatNoLearningRateFits) {
  EXPECT_EQ(breaches(llama(), "full", {{"train.global_batch", "1176"}}),
            std::vector<std::string>{
                "/train/global_batch: 1176, but the closed rules of llama31_405b demand that learning rate x 1152 is "
                "the double that 8e-05 x batch is, and no learning rate for this batch holds it (its own is "
                "8.166666666666668e-05); the nearest that one does: 1175 and 1177"});
  for (const char* batch : {"896", "960", "1008", "1024", "1200", "1280", "1536", "2304", "4608", "9216"})
    EXPECT_TRUE(breaches(llama(), "full", {{"train.global_batch", batch}}).empty()) << batch;
  // A micro batch of 8 rules out what is no multiple of it.
  EXPECT_NE(breaches(llama(), "full", {{"train.global_batch", "1176"}, {"train.micro_batch", "8"}})
                .at(0)
                .find("the nearest that one does: 1168 and 1184"),
            std::string::npos);
  EXPECT_TRUE(breaches(llama(), "full", {{"train.global_batch", "1176"}, {"submission.division", "open"}}).empty());
}

// For every batch, the gate and the rule's own words say the same, and a refused batch has no rate near that would do.
TEST(RuleBreaches, AgreeWithTheExactRuleForEveryBatch) {
  int refused = 0;
  for (int batch = 13; batch <= 3000; batch += 7) {
    const double asked = batch * 8e-5, rate = asked / 1152;
    const auto holds = [&](double r) { return r * 1152 == asked; };
    const std::vector<std::string> found = breaches(llama(), "full", {{"train.global_batch", std::to_string(batch)}});
    EXPECT_EQ(found.empty(), holds(rate)) << batch;
    if (found.empty()) continue;
    ++refused;
    EXPECT_FALSE(holds(std::nextafter(rate, 0)) || holds(std::nextafter(rate, 1))) << batch;
  }
  EXPECT_GT(refused, 10);
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
