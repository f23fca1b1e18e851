// What a user who errs is told: one line with the path, the numbers and what to do.
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "config/config_fixture.h"
#include "timetrial/config/run_config.h"

namespace timetrial {
namespace {

struct Mistake {
  Overrides overrides;
  std::string message;
};

void PrintTo(const Mistake& mistake, std::ostream* stream) { *stream << mistake.message; }

class RunConfigMistakes : public testing::TestWithParam<Mistake> {};

TEST_P(RunConfigMistakes, AreNamed) { EXPECT_EQ(error_with(GetParam().overrides), GetParam().message); }

INSTANTIATE_TEST_SUITE_P(
    UnknownKeys, RunConfigMistakes,
    testing::Values(
        Mistake{{{"train.sed", "7"}}, "/train/sed: unknown key with value \"7\"; the nearest known key is train.seed"},
        Mistake{{{"seed", "7"}}, "/seed: unknown key with value \"7\"; the nearest known key is train.seed"},
        Mistake{{{"train.seed.low", "7"}},
                "/train/seed/low: unknown key with value \"7\"; the nearest known key is train.seed"},
        Mistake{{{"xylophone_quartet", "7"}},
                "/xylophone_quartet: unknown key with value \"7\"; no known key is near; the help lists them all"},
        Mistake{{{"train", "7"}}, "/train: \"7\" is not an object, {...}"}));

INSTANTIATE_TEST_SUITE_P(
    Types, RunConfigMistakes,
    testing::Values(
        Mistake{{{"train.seed", "abc"}}, "/train/seed: \"abc\" is not a whole number (0 to 4294967295)"},
        Mistake{{{"train.seed", "1.5"}}, "/train/seed: 1.5 is not a whole number (0 to 4294967295)"},
        Mistake{{{"train.seed", "0x10"}}, "/train/seed: \"0x10\" is not a whole number (0 to 4294967295)"},
        Mistake{{{"train.seed", "null"}}, "/train/seed: null is not a whole number (0 to 4294967295)"},
        Mistake{{{"train.seed", "[7]"}}, "/train/seed: [7] is not a whole number (0 to 4294967295)"},
        Mistake{{{"train.seed", ""}}, "/train/seed: \"\" is not a whole number (0 to 4294967295)"},
        Mistake{{{"train.beta_1", "true"}}, "/train/beta_1: true is not a number (0 to below 1)"},
        Mistake{{{"train.learning_rate", "nan"}}, "/train/learning_rate: \"nan\" is not a number (0 to 1e+30)"},
        Mistake{{{"train.learning_rate", "{\"of\": \"train.seed\"}"}},
                "/train/learning_rate: {\"of\":\"train.seed\"} is not a number (0 to 1e+30)"},
        Mistake{{{"model.sinks", "1"}}, "/model/sinks: 1 is not true or false"},
        Mistake{{{"device.kind", "gpu"}}, "/device/kind: \"gpu\" is not one of cpu, cuda; the nearest is cpu"},
        Mistake{{{"device.kind", "accelerator"}}, "/device/kind: \"accelerator\" is not one of cpu, cuda"},
        Mistake{{{"device.attention", "cudnn"}},
                "/device/attention: chooses among a GPU's kernels; leave it out, or set device.kind to cuda"}));

INSTANTIATE_TEST_SUITE_P(
    Ranges, RunConfigMistakes,
    testing::Values(
        Mistake{{{"train.seed", "-1"}}, "/train/seed: -1 is below 0, the smallest allowed"},
        Mistake{{{"train.seed", "4294967296"}}, "/train/seed: 4294967296 is above 4294967295, the largest allowed"},
        Mistake{{{"train.seed", "4294967296.0"}}, "/train/seed: 4294967296 is above 4294967295, the largest allowed"},
        Mistake{{{"train.seed", "18446744073709551615"}},
                "/train/seed: 18446744073709551615 is above 4294967295, the largest allowed"},
        Mistake{{{"train.seed", "1e300"}}, "/train/seed: 1e+300 is above 4294967295, the largest allowed"},
        Mistake{{{"train.seed", "-1e300"}}, "/train/seed: -1e+300 is below 0, the smallest allowed"},
        Mistake{{{"train.micro_batch", "0"}}, "/train/micro_batch: 0 is below 1, the smallest allowed"},
        Mistake{{{"train.beta_1", "1"}}, "/train/beta_1: 1 is not below 1; use 0 to below 1"},
        Mistake{{{"train.epsilon", "0"}}, "/train/epsilon: 0 is not above 0; use above 0 to 1e+30"},
        Mistake{{{"train.learning_rate", "-1e-9"}}, "/train/learning_rate: -1e-09 is below 0, the smallest allowed"},
        Mistake{{{"evaluation.target", "0"}}, "/evaluation/target: 0 is not above 0; use above 0 to 1e+30"},
        Mistake{{{"parallel.dp", "0"}}, "/parallel/dp: 0 is below 1, the smallest allowed"},
        Mistake{{{"device.threads", "-2"}}, "/device/threads: -2 is below 0, the smallest allowed"}));

INSTANTIATE_TEST_SUITE_P(
    Rules, RunConfigMistakes,
    testing::Values(
        Mistake{{{"train.micro_batch", "5"}},
                "/train/global_batch: 32 is not a multiple of micro_batch 5 x dp 1 = 5; use train.micro_batch=4, or a "
                "global batch of 30 or 35"},
        Mistake{{{"train.micro_batch", "33"}},
                "/train/global_batch: 32 is not a multiple of micro_batch 33 x dp 1 = 33; use train.micro_batch=32, or "
                "a global batch of 33"},
        Mistake{{{"train.max_steps", "127"}},
                "/train/max_steps: 127 steps end before the first evaluation, which comes after 4096 sequences = 128 "
                "steps; use at least 128, or lower evaluation.every_samples to 4064"},
        Mistake{{{"train.max_steps", "30"}},
                "/train/decay_steps: -20 is below 1, the smallest allowed (it follows from train.max_steps and "
                "train.warmup_steps; change those, or set it)"},
        Mistake{{{"train.warmup_steps", "1000"}},
                "/train/decay_steps: 1000 must be above train.warmup_steps 1000; raise it (or train.max_steps, where "
                "it follows from that) or lower the warm-up"},
        Mistake{{{"train.end_learning_rate", "0.5"}},
                "/train/end_learning_rate: 0.5 must not be above train.learning_rate 0.003; lower it"},
        Mistake{{{"train.max_steps", "1000000000"}, {"train.global_batch", "1000000000"}},
                "/train/max_steps: 1000000000 steps of 1000000000 sequences are 6.4e+19 tokens, more than 4.61e+18 can "
                "be counted; lower one of them"},
        Mistake{{{"train.max_steps", "300"}, {"evaluation.skip_first", "2"}},
                "/train/max_steps: 300 steps end before the first evaluation, which comes after 12288 sequences (2 "
                "evaluations are skipped) = 384 steps; use at least 384, or lower evaluation.every_samples to 3200"},
        Mistake{
            {{"parallel.dp", "3"}},
            "/train/global_batch: 32 is not a multiple of micro_batch 4 x dp 3 = 12; use a global batch of 24 or 36"},
        Mistake{{{"parallel.tp", "3"}}, "/parallel/tp: 3 does not divide the 8 heads; use 2"},
        Mistake{{{"model.kv_heads", "3"}}, "/model/heads: 8 heads are not a multiple of 3 kv_heads; use 9 heads"}));

INSTANTIATE_TEST_SUITE_P(
    Texts, RunConfigMistakes,
    testing::Values(
        Mistake{{{"data.train", ""}}, "/data/train: is empty; give it a text"},
        Mistake{{{"data.train", "[]"}}, "/data/train: is an empty list; give it at least one text"},
        Mistake{{{"data.train", "[\"a\", 7]"}}, "/data/train/1: 7 is not a text in quotes"},
        Mistake{{{"data.train", "[a"}}, "/data/train: \"[a\" is not a list of texts, [\"a\", \"b\"]"},
        Mistake{{{"data.train", "[\"a\", \"b\"]"}, {"data.train_weights", "[1]"}},
                "/data/train_weights: 1 weights for 2 prefixes in data.train; give one each, or none for equal shares"},
        Mistake{{{"data.train_weights", "[0]"}}, "/data/train_weights/0: 0 is not above 0; use above 0 to 1e+30"},
        Mistake{{{"output.folder", "a\nb"}}, "/output/folder: \"a\\nb\" holds a control character; remove it"},
        Mistake{{{"output.folder", "\xff"}}, "/output/folder: \"\\ufffd\" is not UTF-8 text"},
        Mistake{{{"output.folder", "eval_accuracy"}},
                "/output/folder: \"eval_accuracy\" holds the word eval_accuracy, which readers of result logs search "
                "for; use another text"},
        Mistake{
            {{"submission.status", "onprem"}},
            "/submission/status: \"onprem\" is not one of Available on-premise, Available cloud, Preview, Research, "
            "Development, or Internal (RDI)"}));

INSTANTIATE_TEST_SUITE_P(
    Names, RunConfigMistakes,
    testing::Values(
        Mistake{{{"workload", "gpt"}}, "/workload: \"gpt\" is not gpt_oss_20b, the workload of this benchmark.json"},
        Mistake{{{"variant", "fulll"}},
                "/variant: \"fulll\" is not one of 10m, 1b, 1m, full, small, custom; the nearest is full"},
        Mistake{{{"form", "refrence"}},
                "/form: \"refrence\" is not one of published, reference, submitted, custom; the nearest is reference"},
        Mistake{{{"variant", "custom"}},
                "/train/global_batch: is missing, and a custom run has no default for it; set train.global_batch "
                "(sequences of one optimizer step)"},
        Mistake{{{"form", "custom"}},
                "/model/window_keys: is missing, and a custom run has no default for it; set model.window_keys (keys a "
                "windowed layer sees, the token itself among them; 0: no windows)"},
        Mistake{{{"train.seed", "1"}, {"train.seed", "1"}}, "/train/seed: this key is overridden twice; keep one"}));

std::string error_without(const std::string& section) {
  Json user = user_config();
  user.erase(section);
  return config_error([&] { parse(user); });
}

TEST(MissingValues, AreNamed) {
  EXPECT_EQ(error_without("workload"), "/workload: is missing; name what to train, e.g. gpt_oss_20b");
  EXPECT_EQ(error_without("variant"), "/variant: is missing; choose one of 10m, 1b, 1m, full, small, custom");
  EXPECT_EQ(
      error_without("data"),
      "/data/train: is missing; set data.train (training tokens: path prefix of PREFIX.idx and PREFIX.bin, or a list "
      "to blend)");
  EXPECT_EQ(error_without("output"),
            "/output/folder: is missing; set output.folder (folder for the log and the effective config)");
  const auto nameless = [] { parse_run_config(user_config(), benchmark(), "", {}); };
  EXPECT_EQ(config_error(nameless), "/name: is empty; the config file needs a name before its .json");
}

TEST(FileValues, AreHeldToTheSameTable) {
  Json user = user_config();
  user["train"] = {{"seed", -1}};
  EXPECT_EQ(config_error([&] { parse(user); }), "/train/seed: -1 is below 0, the smallest allowed");
  user["train"] = {{"seed", std::numeric_limits<double>::infinity()}};
  EXPECT_EQ(config_error([&] { parse(user); }), "/train/seed: inf is not a finite number");
  user["train"] = {{"epsilon", std::numeric_limits<double>::quiet_NaN()}};
  EXPECT_EQ(config_error([&] { parse(user); }), "/train/epsilon: nan is not a finite number");
  user["train"] = {{"sed", {{"a", 1}}}};
  EXPECT_EQ(config_error([&] { parse(user); }),
            "/train/sed: unknown key with value {\"a\":1}; the nearest known key is train.seed");
  user["train"] = Json::array({1});
  EXPECT_EQ(config_error([&] { parse(user); }), "/train: [1] is not an object, {...}");
  EXPECT_EQ(config_error([&] { parse(Json::array()); }), "/: [] is not an object, {...}");
}

TEST(FileValues, AreRefusedWhenGivenNestedAndDotted) {
  Json user = user_config();
  user["train"] = {{"seed", 1}};
  user["train.seed"] = 1;
  EXPECT_EQ(config_error([&] { parse(user); }), "/train/seed: this key is given twice, nested and dotted; keep one");
}

TEST(FileValues, OfAnyLengthMakeOneShortLine) {
  Json user = user_config();
  user["train"] = {{"seed", std::string(5000, 'x') + "\n"}, {std::string(5000, 'y') + "\n", 1}};
  const std::string error = config_error([&] { parse(user); });
  EXPECT_LT(error.size(), 300u) << error;
  EXPECT_EQ(error.find('\n'), std::string::npos) << error;
}

TEST(Workload, IsKnownBeforeItsBenchmark) {
  EXPECT_EQ(workload_of(user_config(), {}), "gpt_oss_20b");
  EXPECT_EQ(workload_of(user_config(), {{"workload", "other"}}), "other");
  EXPECT_THROW(workload_of(Json::object(), {}), ConfigError);
}

}  // namespace
}  // namespace timetrial
