// The benchmark's numbers against the specification: counts (1.1, 14, 15.1), rotary frequencies and learning rates
// (15.4), batch rules and evaluation schedule (11.1), starting values. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <ostream>

#include "llama31_405b/fixture.h"
#include "timetrial/config/schedule.h"
#include "timetrial/ops/rope_table.h"

namespace timetrial::testing {
namespace {

struct Counted {
  const char *variant, *form, *multiple;  // multiple empty: the variant's own
  int64_t total, matmul;
  double train_flops_per_token;
};
void PrintTo(const Counted& c, std::ostream* stream) { *stream << c.variant << " " << c.form << " " << c.multiple; }

class LlamaCounts : public ::testing::TestWithParam<Counted> {};

TEST_P(LlamaCounts, AreTheSpecifications) {
  const Counted& want = GetParam();
  Overrides overrides{{"form", want.form}};
  if (*want.multiple != 0) overrides.emplace_back("model.vocabulary_multiple", want.multiple);
  const RunConfig config = llama_config(want.variant, overrides);
  const ModelCounts counts = count(config.model);
  EXPECT_EQ(counts.total, want.total);
  EXPECT_EQ(counts.active, want.total);  // dense
  EXPECT_EQ(counts.matmul, want.matmul);
  EXPECT_EQ(counts.train_flops_per_token, want.train_flops_per_token);
  EXPECT_EQ(llama31_405b::make_workload()->make_model(config, {})->parameters().elements(), want.total);
}

// Full size: spec 1.1, 14 and 18.4. Proxies: spec 15.1, with the attention over the visible keys of their lengths.
INSTANTIATE_TEST_SUITE_P(
    Spec, LlamaCounts,
    ::testing::Values(Counted{"full", "reference", "", 402724438016, 402183421952, 2514581520384},
                      Counted{"full", "reference", "512", 402707660800, 402175033344, 2514531188736},
                      Counted{"full", "reference", "256", 402699272192, 402170839040, 2514506022912},
                      Counted{"full", "published", "", 405853388800, 403747897344, 2523968372736},
                      Counted{"1m", "reference", "", 1041536, 909312, 6.0 * 909312 + 3.0 * 4 * 2 * 16 * 16 * 32.5},
                      Counted{"10m", "reference", "", 9884928, 8830976, 6.0 * 8830976 + 3.0 * 10 * 2 * 16 * 32 * 128.5},
                      Counted{"1b", "reference", "", 1065390080, 931135488,
                              6.0 * 931135488 + 3.0 * 4 * 2 * 32 * 256 * 1024.5}));

TEST(LlamaVocabulary, IsPaddedToTheStatedMultiple) {
  EXPECT_EQ(llama_config("full").model.vocabulary_rows(), 32768);
  EXPECT_EQ(llama_config("full", {{"model.vocabulary_multiple", "512"}}).model.vocabulary_rows(), 32256);
  EXPECT_EQ(llama_config("full", {{"model.vocabulary_multiple", "256"}}).model.vocabulary_rows(), 32000);
  EXPECT_EQ(llama_config("full", {{"model.vocabulary_multiple", "256"}}).variant, "full");  // a free choice
  EXPECT_EQ(llama_config("full", {{"form", "published"}}).model.vocabulary_rows(), 128256);
  const ModelShape small = llama_config("small").model;
  EXPECT_LT(small.vocabulary, small.vocabulary_rows());  // rows that never are a label exist in the small run too
}

TEST(LlamaRotary, HasTheFrequenciesOfTheSpec) {
  const std::vector<double> f = ops::llama31_frequencies({.head_dim = 128,
                                                          .base = 500000,
                                                          .factor = 8,
                                                          .original_length = 8192,
                                                          .low_frequency_factor = 1,
                                                          .high_frequency_factor = 4});
  for (const auto& [i, value] : {std::pair<size_t, double>{0, 1},
                                 {1, 8.146172339e-1},
                                 {28, 3.211445995e-3},
                                 {29, 2.166570764e-3},
                                 {31, 8.567514129e-4},
                                 {34, 1.785078128e-4},
                                 {35, 9.556212354e-5},
                                 {63, 3.068925989e-7}})
    EXPECT_NEAR(f.at(i), value, 5e-10 * value) << i;
}

// Unchanged / blended / divided frequencies for each head size that a variant has (spec 2.2, 15.1).
TEST(LlamaRotary, HasAllThreeRegimesAtEveryHeadSize) {
  for (const auto& [dim, kept, blended] :
       {std::tuple<int64_t, int, int>{8, 2, 1}, {16, 4, 1}, {64, 15, 3}, {128, 29, 6}}) {
    const std::vector<double> plain = ops::rope_frequencies({.head_dim = dim, .base = 500000});
    const std::vector<double> scaled = ops::llama31_frequencies({.head_dim = dim,
                                                                 .base = 500000,
                                                                 .factor = 8,
                                                                 .original_length = 8192,
                                                                 .low_frequency_factor = 1,
                                                                 .high_frequency_factor = 4});
    int same = 0, between = 0;
    for (size_t i = 0; i < plain.size(); ++i) {
      if (scaled[i] == plain[i])
        ++same;
      else if (scaled[i] > plain[i] / 8)
        ++between;
      else
        EXPECT_EQ(scaled[i], plain[i] / 8);
    }
    EXPECT_EQ(same, kept) << dim;
    EXPECT_EQ(between, blended) << dim;
  }
}

TEST(LlamaRates, AreTheSpecifications) {
  const TrainConfig train = llama_config("full").train;
  EXPECT_EQ(train.learning_rate, 8e-5);
  for (const auto& [step, rate] :
       {std::pair<int64_t, double>{0, 9.998750e-9}, {1, 1.999750e-8}, {100, 1.009874e-6}, {271, 2.719660e-6}})
    EXPECT_NEAR(learning_rate_at(train, step), rate, 6e-7 * rate) << step;
  EXPECT_GT(learning_rate_at(train, 0), 0);
  EXPECT_EQ(learning_rate_at(train, 8000), 8e-5);
  EXPECT_EQ(learning_rate_at(train, 1200000), 8e-7);  // the cosine ends at the horizon, not W steps before
  EXPECT_GT(learning_rate_at(train, 1199000), 8e-7);
}

TEST(LlamaRates, AreTheSubmittedOnesFromZero) {
  const RunConfig config = llama_config("full", {{"train.global_batch", "896"}, {"train.warmup_form", "from_zero"}});
  EXPECT_EQ(config.variant, "full");
  EXPECT_TRUE(config.scaled_rules.empty());
  EXPECT_EQ(fmt::format("{}", config.train.learning_rate), "6.222222222222223e-05");
  EXPECT_EQ(config.train.warmup_steps, 10286);
  EXPECT_EQ(config.train.decay_steps, 1532572);
  EXPECT_EQ(learning_rate_at(config.train, 0), 0);
  for (const auto& [step, rate] :
       {std::pair<int64_t, double>{1, 6.049214682e-9}, {100, 6.049214682e-7}, {356, 2.153520427e-6}})
    EXPECT_NEAR(learning_rate_at(config.train, step), rate, 5e-10 * rate) << step;
}

// The checker compares value * 1152 with batch * 8e-5 exactly: a rounded rate fails at 1200, the unrounded one passes.
TEST(LlamaRates, AreUnroundedDoublesComputedLeftToRight) {
  for (const int64_t batch : {896, 960, 1024, 1152, 1200, 1280, 1536, 2048, 2304, 2560, 3072, 4096, 4608, 9216}) {
    const double rate = llama_config("full", {{"train.global_batch", std::to_string(batch)}}).train.learning_rate;
    EXPECT_EQ(rate * 1152, static_cast<double>(batch) * 8e-5) << batch;
  }
}

struct Cadence {
  int64_t batch, warmup, max_steps, interval, skipped, first_samples;
};

TEST(LlamaEvaluation, FollowsTheRuleForEveryBatch) {
  for (const Cadence& want :
       {Cadence{1152, 8000, 1200000, 16, 14, 276480}, Cadence{2304, 4000, 600000, 8, 17, 331776},
        Cadence{4608, 2000, 300000, 4, 23, 442368}, Cadence{9216, 1000, 150000, 2, 35, 663552},
        Cadence{896, 10286, 1542858, 21, 14, 282240}, Cadence{1024, 9000, 1350000, 18, 14, 276480}}) {
    const RunConfig config = llama_config("full", {{"train.global_batch", std::to_string(want.batch)}});
    EXPECT_EQ(config.variant, "full");
    EXPECT_TRUE(config.scaled_rules.empty());
    EXPECT_EQ(config.train.warmup_steps, want.warmup);
    EXPECT_EQ(config.train.max_steps, want.max_steps);
    EXPECT_EQ(config.train.decay_steps, want.max_steps - want.warmup);
    EXPECT_EQ(config.evaluation_interval_steps(), want.interval);
    EXPECT_EQ(config.evaluation.skip_first, want.skipped);
    EXPECT_EQ(config.first_evaluation_step() * want.batch, want.first_samples);
    EXPECT_EQ(config.evaluation.samples, 5760);
    EXPECT_EQ(config.evaluation.target, 5.6);
  }
}

TEST(LlamaConfig, NamesARunThatChangesWhatTheBenchmarkFixes) {
  const RunConfig config = llama_config("full", {{"train.learning_rate", "1e-4"}});
  EXPECT_EQ(config.variant, "custom");
  ASSERT_EQ(config.scaled_rules.size(), 1u);
  EXPECT_EQ(config.scaled_rules[0].description, "peak learning rate for this batch: 0.0001 instead of 8e-05");
}

TEST(LlamaConfig, RefusesWhatALlamaDoesNotHave) {
  for (const auto& [key, value, message] :
       {std::tuple{"model.experts", "4", "/model/experts"},
        {"model.sinks", "true", "/model/sinks: llama31_405b has no"},
        {"model.window_keys", "8", "/model/window_keys"},
        {"model.qk_norm", "true", "/model/qk_norm"},
        {"model.linear_bias", "true", "/model/linear_bias"},
        {"model.activation", "clamped_swiglu", "/model/activation: llama31_405b has plain SwiGLU; set it to swiglu"}}) {
    Overrides overrides{{key, value}};
    if (std::string(key) == "model.experts") overrides.emplace_back("model.experts_per_token", "2");
    const RunConfig config = llama_config("1m", overrides);
    try {
      llama31_405b::make_workload()->make_model(config, {});
      ADD_FAILURE() << key << " was taken";
    } catch (const ConfigError& error) {
      EXPECT_EQ(std::string(error.what()).find(message), 0u) << error.what();
    }
  }
}

TEST(LlamaParameters, StartDecayAndReduceByName) {
  const RunConfig config = llama_config("full");
  const auto model = llama31_405b::make_workload()->make_model(config, {});
  for (const ParameterSpec& spec : model->parameters().specs()) {
    const bool norm = spec.name.find("norm.") != std::string::npos;
    const bool to_residual = spec.name.ends_with("attention.output.weight") || spec.name.ends_with("fc2.weight");
    EXPECT_EQ(spec.decay, !norm) << spec.name;
    EXPECT_EQ(spec.init.constant, norm ? 1 : 0) << spec.name;
    EXPECT_NEAR(spec.init.standard_deviation,
                norm          ? 0
                : to_residual ? 0.02 / std::sqrt(252.0)
                              : 0.02,
                1e-12)
        << spec.name;
    EXPECT_EQ(spec.reduce, ReduceGroup::dense) << spec.name;
    EXPECT_EQ(spec.uses, 1) << spec.name;
    EXPECT_FALSE(spec.name.ends_with(".bias")) << spec.name;
  }
}

}  // namespace
}  // namespace timetrial::testing
