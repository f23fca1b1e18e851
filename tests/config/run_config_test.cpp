// A parsed run: defaults of the variants and forms, overrides, honest names, scaled rules, and the way back to JSON.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/run_config.h"

#include <algorithm>
#include <set>

#include "config/config_fixture.h"
#include "timetrial/config/config_file.h"
#include "timetrial/config/names_help.h"

namespace timetrial {
namespace {

TEST(RunConfigDefaults, OfTheFullBenchmarkAreTheRules) {
  const RunConfig run = parse(user_config("full"));
  EXPECT_EQ(run.variant, "full");
  EXPECT_EQ(run.form, "submitted");
  EXPECT_EQ(run.train.seed, 0);
  EXPECT_EQ(run.train.global_batch, 16);
  EXPECT_EQ(run.train.max_steps, 1200000);
  EXPECT_EQ(run.train.learning_rate, 4e-4);
  EXPECT_EQ(run.train.end_learning_rate, 4e-5);
  EXPECT_EQ(run.train.warmup_steps, 128);
  EXPECT_EQ(run.train.decay_steps, 1199872);
  EXPECT_EQ(run.train.beta_1, 0.9);
  EXPECT_EQ(run.train.beta_2, 0.95);
  EXPECT_EQ(run.train.epsilon, 1e-5);
  EXPECT_EQ(run.train.weight_decay, 0.1);
  EXPECT_EQ(run.train.clip_norm, 1.0);
  EXPECT_EQ(run.evaluation, (EvaluationConfig{.samples = 1024, .every_samples = 12288, .target = 3.34}));
  EXPECT_EQ(run.evaluation_interval_steps(), 768);
  EXPECT_EQ(run.accumulation(), 8);
  EXPECT_TRUE(run.scaled_rules.empty());
  EXPECT_EQ(run.submission.division, "closed");
  EXPECT_FALSE(run.submission.organization.empty());
}

// Spec 18.2, as one shape per form.
TEST(RunConfigDefaults, OfTheFormsAreTheSwitches) {
  ModelShape want{.layers = 24,
                  .hidden = 2880,
                  .heads = 64,
                  .kv_heads = 8,
                  .head_dim = 64,
                  .experts = 32,
                  .experts_per_token = 4,
                  .ffn = 2880,
                  .vocabulary = 128256,
                  .sequence_length = 8192,
                  .window_keys = 128,
                  .qk_norm = false,
                  .linear_bias = true,
                  .sinks = true,
                  .activation = Activation::clamped_swiglu,
                  .rope = {.kind = RopeKind::plain, .base = 150000},
                  .norm_epsilon = 1e-5,
                  .init_std = 0.02,
                  .router_bias_std = 0.02};
  EXPECT_EQ(parse(user_config("full"), {{"form", "submitted"}}).model, want);
  want.vocabulary = 201088;
  want.rope = {
      .kind = RopeKind::yarn, .base = 150000, .factor = 32, .original_length = 4096, .beta_fast = 32, .beta_slow = 1};
  EXPECT_EQ(parse(user_config("full"), {{"form", "published"}}).model, want);
  want.vocabulary = 128256;
  want.rope = {.kind = RopeKind::plain, .base = 150000};
  want.window_keys = 129;
  want.qk_norm = true;
  want.linear_bias = want.sinks = false;
  want.activation = Activation::swiglu;
  want.norm_epsilon = 1e-6;
  want.init_std = 0.008;
  want.router_bias_std = 0;
  EXPECT_EQ(parse(user_config("full"), {{"form", "reference"}}).model, want);
}

TEST(RunConfigDefaults, EndRateFollowsThePeakExceptInTheReference) {
  const Overrides doubled{{"train.learning_rate", "8e-4"}};
  EXPECT_DOUBLE_EQ(parse(user_config("full"), doubled).train.end_learning_rate, 8e-5);
  Json reference = user_config("full");
  reference["form"] = "reference";
  EXPECT_EQ(parse(reference, doubled).train.end_learning_rate, 4e-5);
}

TEST(RunConfigDefaults, EveryVariantParsesInEveryFormAndKeepsItsName) {
  for (const auto& [variant, content] : benchmark()["variants"].items()) {
    for (const auto& [form, switches] : benchmark()["forms"].items()) {
      const RunConfig run = parse(user_config(variant), {{"form", form}});
      EXPECT_EQ(run.variant, variant);
      EXPECT_EQ(run.form, form);
      EXPECT_EQ(run.scaled_rules.empty(), variant == "full") << variant;
    }
  }
}

TEST(RunConfigDefaults, TheSmallExampleParses) {
  const std::string path = TIMETRIAL_SOURCE_DIR "/configs/small/gpt_oss_20b.json";
  const RunConfig run = parse_run_config(read_config_file(path), benchmark(), config_name(path), {});
  EXPECT_EQ(run.variant, "small");
  EXPECT_EQ(run.name, "gpt_oss_20b");
  EXPECT_EQ(run.data.train, std::vector<std::string>{"data/gcide/gcide-train"});
}

TEST(RunConfigValues, ComeFromFileAndOverrides) {
  Json user = user_config();
  user["train"] = {{"seed", 7}, {"learning_rate", 0.25}};
  user["evaluation.samples"] = 12;
  user["model"] = {{"rope.base", 1000}};
  const RunConfig run = parse(user, {{"train.seed", "4294967295"}, {"device.kind", "cuda"}, {"device.dtype", "bf16"}});
  EXPECT_EQ(run.train.seed, 4294967295);
  EXPECT_EQ(run.train.learning_rate, 0.25);
  EXPECT_EQ(run.evaluation.samples, 12);
  EXPECT_EQ(run.model.rope.base, 1000);
  EXPECT_EQ(run.device.kind, DeviceKind::cuda);
  EXPECT_EQ(run.device.dtype, DType::bf16);
}

TEST(RunConfigValues, TakeWholeNumbersInRealNotation) {
  EXPECT_EQ(parse_with({{"train.max_steps", "1e6"}}).train.max_steps, 1000000);
  EXPECT_EQ(parse_with({{"train.max_steps", "4000.0"}}).train.max_steps, 4000);
  EXPECT_EQ(parse_with({{"evaluation.target", "3"}}).evaluation.target, 3.0);
}

TEST(RunConfigValues, OfTextOverridesArriveAsTheyStand) {
  EXPECT_EQ(parse_with({{"output.folder", "12"}}).output.folder, "12");
  EXPECT_EQ(parse_with({{"output.folder", "\"a b\" = c"}}).output.folder, "\"a b\" = c");
  EXPECT_EQ(split_override("output.folder=a=b"), (std::pair<std::string, std::string>{"output.folder", "a=b"}));
  EXPECT_EQ(split_override("a="), (std::pair<std::string, std::string>{"a", ""}));
  EXPECT_THROW(split_override("train.seed"), UserError);
  EXPECT_THROW(split_override("=7"), UserError);
}

TEST(RunConfigValues, TakeOnePrefixOrSeveral) {
  const RunConfig blended = parse_with({{"data.train", R"(["a", "b"])"}, {"data.train_weights", "[1, 3]"}});
  EXPECT_EQ(blended.data.train, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(blended.data.train_weights, (std::vector<double>{1, 3}));
  EXPECT_EQ(parse(effective_json(blended)), blended);
  EXPECT_EQ(effective_json(parse_with({}))["data"]["train"], "data/t");
}

TEST(RunConfigValues, RateZeroTrainsNothingAndIsAllowed) {
  const RunConfig run = parse_with({{"train.learning_rate", "0"}});
  EXPECT_EQ(run.train.learning_rate, 0);
  EXPECT_EQ(run.train.end_learning_rate, 0);
  EXPECT_EQ(run.variant, "1m");
}

TEST(RunConfigNames, StayForWhatTheBenchmarkLeavesFree) {
  const RunConfig run = parse_with({{"train.seed", "3"},
                                    {"train.global_batch", "64"},
                                    {"train.micro_batch", "8"},
                                    {"train.learning_rate", "0.5"},
                                    {"train.warmup_steps", "9"},
                                    {"device.threads", "2"},
                                    {"data.train", "other"}});
  EXPECT_EQ(run.variant, "1m");
  EXPECT_EQ(run.form, "submitted");
}

TEST(RunConfigNames, GoForEveryOtherValue) {
  for (const auto& [key, value] : Overrides{{"train.max_steps", "1999"},
                                            {"train.decay_steps", "1000"},
                                            {"train.end_learning_rate", "0"},
                                            {"train.beta_1", "0.8"},
                                            {"train.weight_decay", "0"},
                                            {"train.clip_norm", "2"},
                                            {"evaluation.samples", "255"},
                                            {"evaluation.target", "9"},
                                            {"evaluation.every_samples", "4097"},
                                            {"model.layers", "5"},
                                            {"model.sequence_length", "65"}}) {
    const RunConfig run = parse_with({{key, value}});
    EXPECT_EQ(run.variant, "custom") << key;
    EXPECT_EQ(run.form, "submitted") << key;
  }
  for (const auto& [key, value] : Overrides{{"model.sinks", "false"},
                                            {"model.qk_norm", "true"},
                                            {"model.window_keys", "9"},
                                            {"model.activation", "swiglu"},
                                            {"model.norm_epsilon", "1e-6"},
                                            {"model.init_std", "0.1"}}) {
    const RunConfig run = parse_with({{key, value}});
    EXPECT_EQ(run.variant, "1m") << key;
    EXPECT_EQ(run.form, "custom") << key;
  }
}

// A form may set a training value too, but answers for the model's switches alone.
TEST(RunConfigNames, GiveTrainingValuesToTheVariant) {
  const RunConfig run = parse(user_config("full"), {{"train.end_learning_rate", "0"}});
  EXPECT_EQ(run.variant, "custom");
  EXPECT_EQ(run.form, "submitted");
}

// The variant's own horizon of 2000 steps would end such a warm-up's decay before it began; the run's does not.
TEST(RunConfigNames, GoForAHorizonThatTheVariantsOwnRulesOut) {
  const RunConfig run = parse_with({{"train.max_steps", "9000"}, {"train.warmup_steps", "4000"}});
  EXPECT_EQ(run.train.decay_steps, 5000);
  EXPECT_EQ(run.variant, "custom");
  EXPECT_EQ(parse(user_config("full"),
                  {{"train.max_steps", "3000000"}, {"train.warmup_steps", "1300000"}, {"submission.division", "open"}})
                .variant,
            "full");
  EXPECT_NE(error_with({{"train.warmup_steps", "4000"}}).find("/train/decay_steps: -2000"), std::string::npos);
}

TEST(RunConfigNames, StayWhenAFixedValueIsRepeated) {
  const RunConfig run = parse_with({{"model.layers", "4"}, {"train.max_steps", "2000"}, {"model.sinks", "true"}});
  EXPECT_EQ(run.variant, "1m");
  EXPECT_EQ(run.form, "submitted");
}

TEST(ScaledRules, AreWhatDiffersFromTheFullBenchmark) {
  const RunConfig run = parse(user_config());
  std::set<std::string> keys;
  for (const ScaledRule& rule : run.scaled_rules) keys.insert(rule.key);
  EXPECT_EQ(keys, (std::set<std::string>{"max_sequence_length", "max_steps", "opt_learning_rate_decay_steps",
                                         "eval_samples"}));
  EXPECT_EQ(run.scaled_rules[0].description, "tokens of a sequence: 64 instead of 8192");
}

TEST(ScaledRules, OfACustomRunNameWhatItChanged) {
  const RunConfig run = parse(user_config("full"), {{"evaluation.target", "4"}});
  EXPECT_EQ(run.variant, "custom");
  EXPECT_EQ(run.scaled_rules,
            (std::vector<ScaledRule>{{"eval_accuracy", "loss to reach, nats per token: 4.0 instead of 3.34"}}));
  EXPECT_TRUE(parse(user_config("full"), {{"evaluation.target", "3.0"}}).scaled_rules.empty());  // at most 3.34 as well
}

// The decay's official end follows the warm-up, which is free.
TEST(ScaledRules, FollowTheFreeWarmUp) {
  const RunConfig run = parse(user_config("full"), {{"train.warmup_steps", "256"}});
  EXPECT_TRUE(run.scaled_rules.empty());
  EXPECT_EQ(expected_value(run, "opt_learning_rate_decay_steps"), 1199744);
}

TEST(ExpectedValue, IsTheEffectiveOne) {
  const RunConfig run = parse(user_config("full"));
  EXPECT_EQ(expected_value(run, "max_sequence_length"), 8192);
  EXPECT_EQ(expected_value(run, "max_steps"), 1200000);
  EXPECT_EQ(expected_value(run, "eval_samples"), 1024);
  EXPECT_EQ(expected_value(run, "eval_accuracy"), 3.34);
  EXPECT_EQ(expected_value(run, "opt_adamw_beta_1"), 0.9);
  EXPECT_EQ(expected_value(run, "opt_adamw_beta_2"), 0.95);
  EXPECT_EQ(expected_value(run, "opt_adamw_epsilon"), 1e-5);
  EXPECT_EQ(expected_value(run, "opt_adamw_weight_decay"), 0.1);
  EXPECT_EQ(expected_value(run, "opt_gradient_clip_norm"), 1.0);
  EXPECT_THROW(expected_value(run, "seed"), Error);
}

std::vector<Overrides> varied_runs() {
  return {{},
          {{"form", "published"}},
          {{"model.layers", "5"}},
          {{"model.sinks", "false"}},
          {{"model.window_keys", "3"}, {"evaluation.target", "0.1"}},
          {{"variant", "full"}, {"form", "reference"}, {"model.sinks", "true"}, {"train.learning_rate", "8e-4"}},
          {{"variant", "full"}, {"train.learning_rate", "0.1234567890123456789"}},
          {{"train.sampler", "cyclic"}, {"evaluation.order", "seed"}},
          {{"device.kind", "cuda"}, {"device.dtype", "bf16"}, {"submission.platform", "8 x \"H100\" \xc3\xa9"}}};
}

TEST(EffectiveJson, ParsesBackToTheSameRun) {
  for (const Overrides& overrides : varied_runs()) {
    const RunConfig run = parse_with(overrides);
    const RunConfig again = parse(effective_json(run));
    EXPECT_EQ(again, run) << effective_json(run).dump(1) << effective_json(again).dump(1);
    const RunConfig from_text = parse(parse_config_text(effective_json(run).dump(), "text"));
    EXPECT_EQ(from_text, run);
  }
}

TEST(EffectiveJson, HoldsEveryField) {
  const Json effective = effective_json(parse_with({}));
  const Json flat = effective.flatten();
  const std::string help = config_help();
  EXPECT_EQ(flat.size(), static_cast<size_t>(std::count(help.begin(), help.end(), '\n')));
  EXPECT_EQ(effective["train"].size(), 18u);
  EXPECT_EQ(effective["model"].size(), 26u);
  EXPECT_EQ(effective["model"]["rope"].size(), 10u);
  for (const auto& [pointer, value] : flat.items()) {
    std::string key = pointer.substr(1);
    std::replace(key.begin(), key.end(), '/', '.');
    EXPECT_NE(help.find(key + " "), std::string::npos) << key;
  }
}

// A tool that scores logs searches whole lines for these.
TEST(EffectiveJson, HoldsNoWordThatLogReadersSearchFor) {
  for (const Overrides& overrides : varied_runs()) {
    const std::string text = effective_json(parse_with(overrides)).dump() + config_help();
    for (const char* word : {"global_batch_size", "eval_accuracy", "eval_error", "submission_benchmark", ":::MLLOG"}) {
      EXPECT_EQ(text.find(word), std::string::npos) << word;
      EXPECT_EQ(error_with({{"output.folder", std::string("runs/") + word}}).substr(0, 16), "/output/folder: ");
      const auto named = [&] { parse_run_config(user_config(), benchmark(), word, {}); };
      EXPECT_EQ(config_error(named).substr(0, 7), "/name: ");
    }
  }
}

TEST(ConfigHash, ForgetsTheFolderAlone) {
  const std::string hash = config_hash(parse_with({}));
  EXPECT_EQ(config_hash(parse_with({{"output.folder", "elsewhere"}})), hash);
  EXPECT_EQ(config_hash(parse_with({{"train.seed", "1"}})), hash);
  EXPECT_EQ(config_hash(parse_with({{"submission.platform", "a machine"}})), hash);
  EXPECT_NE(config_hash(parse_with({{"submission.organization", "another"}})), hash);
  EXPECT_NE(config_hash(parse_with({{"train.max_steps", "1999"}})), hash);
  EXPECT_NE(config_hash(parse_with({{"data.train", "elsewhere"}})), hash);
  EXPECT_EQ(hash.size(), 32u);
}

TEST(ConfigHelp, GivesTypeRangeDefaultAndMeaning) {
  const std::string help = config_help();
  EXPECT_NE(help.find("random seed; 0 draws one from the operating system (whole number, 0 to 4294967295) [default 0]"),
            std::string::npos)
      << help;
  EXPECT_NE(help.find("(one of cpu | cuda) [default \"cpu\"]"), std::string::npos) << help;
  EXPECT_NE(help.find("(number, 0 to below 1)"), std::string::npos) << help;
}

TEST(ConfigHelp, NamesEveryVariantAndForm) {
  const Json names = benchmark();
  const std::string help = names_help(names);
  EXPECT_EQ(help.find("workload " + names["name"].get<std::string>() + "\n"), 0u) << help;
  EXPECT_EQ(static_cast<size_t>(std::count(help.begin(), help.end(), '\n')),
            1 + names["variants"].size() + names["forms"].size());
  for (const char* kind : {"variants", "forms"})
    for (const auto& [name, what] : names[kind].items())
      EXPECT_NE(help.find(" " + name + " "), std::string::npos) << name;
  const size_t chosen = help.find(" [default]\n"), line = help.rfind('\n', chosen);
  ASSERT_NE(chosen, std::string::npos);
  EXPECT_EQ(help.find("  form    " + names["default_form"].get<std::string>(), line), line + 1) << help;
  EXPECT_EQ(help.find(" [default]", chosen + 1), std::string::npos);
}

}  // namespace
}  // namespace timetrial
