// The referee at the gate: which configurations cannot be the benchmark that they claim to be.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "config/config_fixture.h"

namespace timetrial {
namespace {

const Json& llama() { return benchmark_of("llama31_405b"); }
const Json& deepseek() { return benchmark_of("deepseekv3_671b"); }

std::vector<std::string> breaches(const Json& rules, const std::string& variant, const Overrides& overrides) {
  const Json user = user_config_of(rules, variant);
  return rule_breaches(user, rules, overrides, parse_run_config(user, rules, "x", overrides));
}

TEST(RuleBreaches, AreNoneForTheBenchmarkAndWhatItLeavesFree) {
  EXPECT_TRUE(breaches(benchmark(), "full", {}).empty());
  EXPECT_TRUE(breaches(benchmark(), "full", {{"train.learning_rate", "5e-4"}, {"train.global_batch", "32"}}).empty());
  EXPECT_TRUE(breaches(llama(), "full", {}).empty());
  EXPECT_TRUE(breaches(deepseek(), "full", {}).empty());
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
  EXPECT_TRUE(breaches(llama(), "small", {{"data.train", "a"}}).empty());
}

// Spec 9.2: en_6 alone.
TEST(RuleBreaches, NameASecondTrainingFileWhereThereIsOne) {
  for (const Json& rules : {benchmark(), deepseek()})
    EXPECT_EQ(breaches(rules, "full", {{"data.train", R"(["a", "b"])"}}),
              std::vector<std::string>{fmt::format("/data/train: [\"a\",\"b\"], but the closed rules of {} train on 1 "
                                                   "file; name that one",
                                                   rules["name"].get<std::string>())});
  EXPECT_TRUE(breaches(benchmark(), "full", {{"data.train_weights", "[3]"}}).empty());
}

// Spec 18.1: OpenAI's own model is no benchmark run; 18.2: the two others are.
TEST(RuleBreaches, NameAFormThatIsNoBenchmarkRun) {
  EXPECT_TRUE(breaches(benchmark(), "full", {{"form", "submitted"}}).empty());
  EXPECT_TRUE(breaches(benchmark(), "full", {{"form", "reference"}}).empty());
  EXPECT_EQ(breaches(benchmark(), "full", {{"form", "published"}}),
            std::vector<std::string>{
                "/form: \"published\" is not what the closed rules of gpt_oss_20b train; take submitted or reference"});
  EXPECT_EQ(breaches(llama(), "full", {{"form", "published"}}),
            std::vector<std::string>{
                "/form: \"published\" is not what the closed rules of llama31_405b train; take reference"});
  EXPECT_TRUE(breaches(benchmark(), "full", {{"form", "published"}, {"submission.division", "open"}}).empty());
  EXPECT_TRUE(breaches(benchmark(), "small", {{"form", "published"}}).empty());
}

// Spec 0.1, 7.1 to 7.3.
TEST(RuleBreaches, NameWeightsThatComeFromElsewhere) {
  EXPECT_EQ(breaches(benchmark(), "full", {{"data.checkpoint", "weights"}}),
            std::vector<std::string>{"/data/checkpoint: \"weights\", but the closed rules of gpt_oss_20b start from "
                                     "weights that the seed draws; leave it out"});
  for (const Json& rules : {llama(), deepseek()}) {
    EXPECT_EQ(
        breaches(rules, "full", {{"data.checkpoint", ""}}),
        std::vector<std::string>{fmt::format("/data/checkpoint: \"\", but the closed rules of {} start from given "
                                             "weights; give their folder, --set data.checkpoint=DIR",
                                             rules["name"].get<std::string>())});
    EXPECT_TRUE(breaches(rules, "full", {{"data.checkpoint", ""}, {"submission.division", "open"}}).empty());
    EXPECT_TRUE(breaches(rules, "small", {{"data.checkpoint", ""}}).empty());
  }
}

// Spec 12.3, 18.2 to 18.4: storage in bf16 is legal in all three, and so is wider storage.
TEST(RuleBreaches, LeaveStorageFree) {
  for (const Json& rules : {benchmark(), llama(), deepseek()})
    for (const char* storage : {"wide", "bf16"})
      EXPECT_TRUE(
          breaches(rules, "full", {{"train.gradient_storage", storage}, {"train.moment_storage", storage}}).empty())
          << rules["name"] << storage;
}

// Spec 10.1, 18.4: submitters lower max_steps so that the sample order fits; the decay stays that of the rule.
TEST(RuleBreaches, LeaveTheStepLimitOfLlamaFree) {
  EXPECT_TRUE(breaches(llama(), "full", {{"train.max_steps", "700"}}).empty());
  for (const int64_t batch : {896, 1024, 1152, 2304, 9216}) {
    const RunConfig run = parse_run_config(user_config_of(llama(), "full"), llama(), "x",
                                           {{"train.max_steps", "700"}, {"train.global_batch", std::to_string(batch)}});
    const int64_t horizon = (1382400000 + batch - 1) / batch, warmup = (9216000 + batch - 1) / batch;
    EXPECT_EQ(run.variant, "full");
    EXPECT_EQ(run.train.max_steps, 700);
    EXPECT_EQ(run.train.warmup_steps, warmup);
    EXPECT_EQ(run.train.decay_steps, horizon - warmup) << batch;
    EXPECT_TRUE(run.scaled_rules.empty());
  }
  // Smaller variants end their decay with the run.
  const Json small = user_config_of(llama(), "small");
  const RunConfig short_run =
      parse_run_config(small, llama(), "x",
                       {{"train.max_steps", "40"}, {"train.warmup_steps", "2"}, {"evaluation.every_samples", "64"}});
  EXPECT_EQ(short_run.variant, "custom");
  EXPECT_EQ(short_run.train.decay_steps, 38);
  EXPECT_EQ(breaches(benchmark(), "full", {{"train.max_steps", "20000"}}).size(), 2u);  // and its decay
  EXPECT_EQ(breaches(llama(), "full", {{"train.decay_steps", "700"}}).size(), 1u);
}

// Spec 11.2: a tenth of the peak, or 4e-5, in either form.
TEST(RuleBreaches, TakeEitherEndOfTheLearningRate) {
  for (const char* form : {"submitted", "reference"})
    for (const auto& [peak, end, sound] : {std::tuple{"8e-4", "8e-5", true},
                                           {"8e-4", "4e-5", true},
                                           {"5.2e-4", "5.2e-5", true},
                                           {"5.2e-4", "5.2000001e-5", false},
                                           {"8e-4", "5e-5", false},
                                           {"8e-4", "0", false}}) {
      const Overrides overrides{{"form", form}, {"train.learning_rate", peak}, {"train.end_learning_rate", end}};
      EXPECT_EQ(breaches(benchmark(), "full", overrides).empty(), sound) << form << peak << end;
      EXPECT_EQ(parse(user_config("full"), overrides).variant, sound ? "full" : "custom") << form << peak << end;
    }
  EXPECT_EQ(
      breaches(benchmark(), "full", {{"train.learning_rate", "8e-4"}, {"train.end_learning_rate", "5e-5"}}).at(0),
      "/train/end_learning_rate: 5e-05, but the closed rules of gpt_oss_20b allow 8e-05 or 4e-05 (learning rate where "
      "the decay ends)");
  EXPECT_EQ(parse(user_config("small"), {{"train.end_learning_rate", "4e-5"}}).variant, "custom");
}

// Spec 1.1: ids rounded up to 128 x tensor-parallel ranks.
TEST(RuleBreaches, BoundTheRowsOfTheVocabulary) {
  for (const char* multiple : {"128", "256", "512", "1024", "8192"}) {
    EXPECT_TRUE(breaches(llama(), "full", {{"model.vocabulary_multiple", multiple}}).empty()) << multiple;
  }
  for (const char* multiple : {"1", "127", "384", "16384", "1000000"}) {
    const std::vector<std::string> found = breaches(llama(), "full", {{"model.vocabulary_multiple", multiple}});
    ASSERT_EQ(found.size(), 1u) << multiple;
    EXPECT_EQ(found[0].find(fmt::format("/model/vocabulary_multiple: {}, but the closed rules of llama31_405b allow "
                                        "128 or 256 or 512 or 1024 or 2048 or 4096 or 8192",
                                        multiple)),
              0u)
        << found[0];
  }
  EXPECT_TRUE(breaches(llama(), "small", {{"model.vocabulary_multiple", "1"}}).empty());
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
  EXPECT_TRUE(with({{"evaluation.target", "3.3"}}).empty());   // reaching it reaches the official one
  EXPECT_TRUE(with({{"evaluation.samples", "512"}}).empty());  // the open rule file does not limit it
}

// Rules digest 2.3, last column.
TEST(RuleBreaches, HoldWhatTheOpenRuleFilesLimit) {
  const auto open = [&](const Json& rules, Overrides overrides) {
    overrides.emplace_back("submission.division", "open");
    return breaches(rules, "full", overrides);
  };
  EXPECT_EQ(open(deepseek(), {{"train.global_batch", "15359"}}),
            std::vector<std::string>{
                "/train/global_batch: 15359, but the open rules of deepseekv3_671b allow no less than 15360"});
  EXPECT_TRUE(open(deepseek(), {{"train.global_batch", "15361"}, {"train.learning_rate", "1e-3"}}).empty());
  EXPECT_EQ(open(deepseek(), {{"evaluation.samples", "1023"}}),
            std::vector<std::string>{"/evaluation/samples: 1023, but the open rules of deepseekv3_671b fix 1024 "
                                     "(sequences of one evaluation)"});
  EXPECT_EQ(open(llama(), {{"evaluation.samples", "5759"}}).size(), 1u);
  EXPECT_TRUE(open(llama(), {{"train.global_batch", "144"}, {"evaluation.skip_first", "0"}}).empty());
}

TEST(RuleBreaches, AreNoneForAVariantWithRulesOfItsOwn) {
  EXPECT_TRUE(breaches(benchmark(), "1m", {{"train.weight_decay", "0.2"}}).empty());
  EXPECT_TRUE(breaches(llama(), "small", {}).empty());
}

}  // namespace
}  // namespace timetrial
