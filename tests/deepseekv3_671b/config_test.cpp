// The numbers of the benchmark: counts and FLOPs of spec 1.3, 14 and 15.3, learning rates of 11.3 and 15.4, rules, and
// what a shape may not be. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "deepseekv3_671b/fixture.h"
#include "timetrial/config/schedule.h"

namespace timetrial::testing {
namespace {

TEST(DeepSeekConfig, CountsOfTheFullModel) {
  const ModelCounts c = count(small_config("full").model);
  EXPECT_EQ(c.total - c.multi_token, 671'026'404'352);
  EXPECT_EQ(c.multi_token, 11'610'067'968);
  EXPECT_EQ(c.total, 682'636'472'320);
  EXPECT_EQ(c.active, 37'552'282'624);
  EXPECT_EQ(c.matmul, 36'624'596'992);
  EXPECT_EQ(c.multi_token_matmul, 1'614'741'504);
  EXPECT_EQ(c.expert_biases, 15'104);
  EXPECT_EQ(c.attention_train_flops_per_token, 30'709'800'960.0 + 503'439'360.0);
  EXPECT_EQ(c.multi_token_train_flops_per_token, 10'191'888'384.0);
  EXPECT_EQ(c.train_flops_per_token, 260'649'271'296.0);
  EXPECT_EQ(c.evaluation_flops_per_token, 83'485'794'304.0);
}

struct Proxy {
  const char* variant;
  int64_t main, module, active, matmul, module_matmul;
};

TEST(DeepSeekConfig, CountsOfTheProxies) {
  for (const Proxy& p : {Proxy{"1m", 839'328, 200'496, 507'552, 408'064, 187'648},
                         Proxy{"10m", 8'203'136, 1'942'944, 4'664'192, 3'612'672, 1'810'432},
                         Proxy{"1b", 939'221'632, 109'450'880, 234'578'560, 200'998'912, 54'919'168}}) {
    const ModelCounts c = count(small_config(p.variant).model);
    EXPECT_EQ(c.total, p.main + p.module) << p.variant;
    EXPECT_EQ(c.multi_token, p.module) << p.variant;
    EXPECT_EQ(c.active, p.active) << p.variant;
    EXPECT_EQ(c.matmul, p.matmul) << p.variant;
    EXPECT_EQ(c.multi_token_matmul, p.module_matmul) << p.variant;
  }
}

// 2.4e-5 sqrt(batch / 16384), nine decimals.
TEST(DeepSeekConfig, LearningRateFollowsTheBatch) {
  for (const auto& [batch, rate] :
       {std::pair{"15360", 2.3238e-5}, {"16384", 2.4e-5}, {"18432", 2.5456e-5}, {"65536", 4.8e-5}})
    EXPECT_EQ(small_config("full", {{"train.global_batch", batch}}).train.learning_rate, rate) << batch;
}

TEST(DeepSeekConfig, ScheduleCheckPoints) {
  const TrainConfig train = small_config("full", {{"train.global_batch", "16384"}}).train;
  EXPECT_EQ(train.warmup_steps, 4);
  EXPECT_EQ(train.decay_steps, 11996);
  const std::pair<int64_t, double> points[] = {
      {0, 0}, {1, 6e-6}, {2, 1.2e-5}, {3, 1.8e-5}, {4, 2.4e-5}, {5, 2.399999958839e-5}, {46, 2.399927392587e-5}};
  for (const auto& [step, rate] : points) EXPECT_NEAR(learning_rate_at(train, step), rate, 5e-18) << step;
}

TEST(DeepSeekConfig, FullVariantKeepsEveryRule) {
  const RunConfig full = small_config("full");
  EXPECT_EQ(full.variant, "full");
  EXPECT_EQ(full.form, "reference");
  EXPECT_TRUE(full.scaled_rules.empty());
  EXPECT_EQ(full.evaluation_interval_steps(), 1);
  EXPECT_EQ(full.evaluation.samples, 1024);
  EXPECT_EQ(full.evaluation.target, 3.6);
  EXPECT_EQ(full.train.gradient_storage, StateStorage::bf16);
  EXPECT_EQ(full.train.moment_storage, StateStorage::bf16);
  EXPECT_EQ(full.train.max_steps, 12000);
  EXPECT_EQ(expected_value(full, "moe_aux_loss_coeff"), 0.01);
  // Free: batch (from the smallest on), seed, steps, storage. Not free: the coefficient.
  EXPECT_EQ(small_config("full", {{"train.moment_storage", "wide"}, {"train.max_steps", "100"}}).variant, "full");
  EXPECT_EQ(small_config("full", {{"train.global_batch", "18432"}}).variant, "full");
  const RunConfig below = small_config("full", {{"train.global_batch", "8192"}});
  EXPECT_EQ(below.variant, "custom");
  ASSERT_EQ(below.scaled_rules.size(), 2u);  // the learning rate follows the batch
  EXPECT_EQ(below.scaled_rules[0].description, "sequences of a step: 8192 instead of 15360");
  const RunConfig changed = small_config("full", {{"model.router.aux_loss", "0.0001"}});
  EXPECT_EQ(changed.form, "custom");
  ASSERT_EQ(changed.scaled_rules.size(), 1u);
  EXPECT_EQ(changed.scaled_rules[0].key, "moe_aux_loss_coeff");
}

TEST(DeepSeekConfig, EffectiveConfigGivesTheSameRunAgain) {
  for (const char* variant : {"full", "1b", "10m", "1m", "small"}) {
    const RunConfig config = small_config(variant);
    EXPECT_EQ(parse_run_config(effective_json(config), deepseekv3_671b::make_workload()->benchmark(), "test", {}),
              config)
        << variant;
  }
}

std::string refusal(const Overrides& overrides) {
  try {
    small_config("1m", overrides);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(DeepSeekConfig, RefusesShapesThatDoNotFit) {
  const std::pair<Overrides, const char*> wrong[] = {
      {{{"model.latent.rope_dim", "7"}}, "/model/latent/rope_dim: 7 is odd"},
      {{{"model.latent.value_dim", "0"}}, "/model/latent/value_dim: 0 must be at least 1"},
      {{{"model.head_dim", "26"}}, "/model/head_dim: 26 is not latent.nope_dim 16 + latent.rope_dim 8; use 24"},
      {{{"model.kv_heads", "2"}}, "/model/kv_heads: 2 are not the 4 heads"},
      {{{"model.window_keys", "5"}}, "/model/window_keys: 5, but latent attention has no windows"},
      {{{"model.qk_norm", "true"}}, "/model/qk_norm: true"},
      {{{"model.sinks", "true"}}, "/model/sinks: true"},
      {{{"model.router.groups", "3"}}, "/model/router/groups: 3 groups do not divide 16 experts"},
      {{{"model.router.kept_groups", "5"}}, "/model/router/kept_groups: 5 of 4 groups"},
      {{{"model.router.kept_groups", "3"}},
       "/model/router/kept_groups: 4 experts per token cannot come in equal parts"},
      {{{"model.router.kind", "softmax"}}, "/model/router: groups"},
      {{{"model.dense_layers", "5"}}, "/model/dense_layers: 5 of 4 layers"},
      {{{"model.dense_ffn", "0"}}, "/model/dense_ffn: 0 for 1 dense layers"},
      {{{"model.multi_token.weight", "0"}}, "/model/multi_token/weight: 0 with 1 modules"},
      {{{"model.sequence_length", "1"}}, "/model/sequence_length: 1: predicting the token after next"},
      {{{"train.gradient_storage", "bf16"}, {"device.dtype", "f64"}, {"train.moment_storage", "wide"}},
       "/train/gradient_storage: bf16 in a run in double"},
  };
  for (const auto& [overrides, message] : wrong) {
    const std::string said = refusal(overrides);
    EXPECT_TRUE(said.starts_with(message)) << overrides[0].first << ": " << said;
  }
}

}  // namespace
}  // namespace timetrial::testing
