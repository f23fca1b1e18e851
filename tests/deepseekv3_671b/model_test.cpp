// The model as a whole: counts, starting loss, accumulation, tied weights, evaluation, expert biases, storage rounding,
// determinism, memory. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "deepseekv3_671b/fixture.h"
#include "deepseekv3_671b/reference.h"

namespace timetrial::testing {
namespace {

using Values = std::vector<double>;

double relative_difference(const Values& a, const Values& b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(difference / size);
}

TEST(DeepSeekModel, DeclaresTheParametersTheShapeCounts) {
  for (const char* variant : {"full", "1b", "10m", "1m", "small"}) {
    const RunConfig config = small_config(variant);
    const auto model = deepseekv3_671b::make_workload()->make_model(config, {});
    const ModelCounts counts = count(config.model);
    EXPECT_EQ(model->parameters().elements(), counts.total) << variant;
    int64_t module = 0, biases = 0;
    for (const ParameterSpec& spec : model->parameters().specs()) {
      if (spec.trainable && spec.name.starts_with("prediction.")) module += spec.shape.elements();
      if (!spec.trainable) biases += spec.shape.elements();
    }
    EXPECT_EQ(module, counts.multi_token) << variant;
    EXPECT_EQ(biases, counts.expert_biases) << variant;
  }
}

TEST(DeepSeekModel, DecaysMatricesAndSharesEmbeddingAndHead) {
  const auto model = deepseekv3_671b::make_workload()->make_model(small_config("full"), {});
  for (const ParameterSpec& spec : model->parameters().specs()) {
    const bool vector = spec.name.find("norm.") != std::string::npos || spec.name.ends_with(".expert_bias");
    EXPECT_EQ(spec.decay, !vector) << spec.name;
    EXPECT_EQ(spec.trainable, !spec.name.ends_with(".expert_bias")) << spec.name;
    const bool shared = spec.name == "embedding.weight" || spec.name == "head.output.weight";
    EXPECT_EQ(spec.uses, shared ? 2 : 1) << spec.name;
    const bool expert = spec.name.find(".experts.") != std::string::npos;
    EXPECT_EQ(spec.reduce, expert ? ReduceGroup::expert : ReduceGroup::dense) << spec.name;
  }
}

// std sqrt(hidden) is the full model's, 1.693: logits of variance 2.867, so ln V + half of it (spec 15.2's rule).
TEST(DeepSeekModel, StartsAtTheExpectedLoss) {
  const RunConfig config = small_config("1m", {{"train.global_batch", "16"}, {"train.micro_batch", "8"}});
  Machine machine(config);
  EXPECT_NEAR(machine.mean_loss(random_batch(config, 16, 1)), std::log(1024) + 0.5 * 0.0004 * 7168, 0.25);
}

TEST(DeepSeekModel, AccumulationDoesNotChangeTheGradient) {
  std::vector<Values> gradients;
  for (const char* micro : {"1", "2", "6"}) {
    const RunConfig config = tiny_config({{"train.global_batch", "6"}, {"train.micro_batch", micro}});
    Machine machine(config);
    machine.executor.train_step(random_batch(config, 6, 5), 0, 0);
    gradients.push_back(machine.all_gradients());
  }
  EXPECT_LT(relative_difference(gradients[1], gradients[0]), 1e-12);
  EXPECT_LT(relative_difference(gradients[2], gradients[0]), 1e-12);
}

TEST(DeepSeekModel, FloatAgreesWithDouble) {
  std::vector<Values> gradients;
  Values losses, norms;
  for (const char* dtype : {"f64", "f32"}) {
    const RunConfig config = small_config("1m", {{"device.dtype", dtype},
                                                 {"train.gradient_storage", "wide"},
                                                 {"train.moment_storage", "wide"},
                                                 {"train.global_batch", "4"},
                                                 {"train.micro_batch", "2"}});
    Machine machine(config);
    machine.executor.train_step(random_batch(config, 4, 5), 0, 0);
    gradients.push_back(machine.all_gradients());
    losses.push_back(machine.executor.result().loss);
    norms.push_back(machine.executor.result().gradient_norm);
  }
  EXPECT_NEAR(losses[1], losses[0], 1e-5 * losses[0]);
  EXPECT_NEAR(norms[1], norms[0], 1e-4 * norms[0]);
  EXPECT_LT(relative_difference(gradients[1], gradients[0]), 1e-4);
}

// bf16 weights and activations: 8 bits of mantissa through four layers, and choices near a tie fall otherwise (0.13 was
// measured); biases, gates and gradients stay fp32.
TEST(DeepSeekModel, Bfloat16StorageStaysNear) {
  Values losses;
  std::vector<Values> gradients;
  for (const char* dtype : {"f32", "bf16"}) {
    const RunConfig config =
        small_config("1m", {{"device.dtype", dtype}, {"train.global_batch", "4"}, {"train.micro_batch", "2"}});
    Machine machine(config);
    machine.executor.train_step(random_batch(config, 4, 5), 0, 0);
    losses.push_back(machine.executor.result().loss);
    gradients.push_back(machine.gradient(machine.find("head.output.weight")));
  }
  EXPECT_NE(losses[1], losses[0]);
  EXPECT_NEAR(losses[1], losses[0], 0.01 * losses[0]);
  EXPECT_LT(relative_difference(gradients[1], gradients[0]), 0.25);
}

// Spec 5 and 6.3: the metric is the main head's; the module, its weight and the auxiliary loss do not touch it.
TEST(DeepSeekModel, EvaluatesTheMainHeadAlone) {
  const RunConfig with = tiny_config(), without = tiny_config({{"model.multi_token.modules", "0"},
                                                               {"model.multi_token.weight", "0"},
                                                               {"model.router.aux_loss", "0"}});
  Machine a(with), b(without);
  const HostBatch batch = random_batch(with, 2, 3);
  const double before = a.mean_loss(batch);
  EXPECT_EQ(before, b.mean_loss(batch));  // same names, same draws
  Values moved = a.weight(a.find("prediction.projection.weight"));
  for (double& value : moved) value += 1;
  a.set_weight(a.find("prediction.projection.weight"), moved);
  EXPECT_EQ(a.mean_loss(batch), before);
  a.executor.train_step(batch, 0, 0);
  b.executor.train_step(batch, 0, 0);
  EXPECT_EQ(a.executor.result().loss, b.executor.result().loss);
  EXPECT_GT(relative_difference(a.gradient(a.find("embedding.weight")), b.gradient(b.find("embedding.weight"))), 1e-3);
}

// Losses that enter through gradients alone are reported beside the main one: means over the step, none of them the
// weight or coefficient in it, whatever the micro batches.
TEST(DeepSeekModel, ReportsTheLossesItAdds) {
  for (const char* micro : {"1", "2", "6"}) {
    const RunConfig config = tiny_config({{"train.global_batch", "6"}, {"train.micro_batch", micro}});
    Machine machine(config);
    machine.shake(0.2);
    const HostBatch batch = random_batch(config, 6, 8);
    const Objective expected = Reference(machine).objective(batch);
    const Values biases = machine.executor.parameters().buffers({});
    machine.executor.train_step(batch, 0, 0);
    machine.executor.parameters().set_buffers(biases, {});
    machine.executor.train_step(batch, 0, 1);  // sums start from zero again
    const StepResult result = machine.executor.result();
    ASSERT_TRUE(result.multi_token_loss && result.aux_loss);
    EXPECT_NEAR(result.loss, expected.main, 1e-12 * expected.main);
    EXPECT_NEAR(*result.multi_token_loss, expected.predicted, 1e-12 * expected.predicted);
    EXPECT_NEAR(*result.aux_loss, expected.balance / 3, 1e-12 * expected.balance);  // three routers
  }
  Machine plain(tiny_config(
      {{"model.multi_token.modules", "0"}, {"model.multi_token.weight", "0"}, {"model.router.aux_loss", "0"}}));
  plain.executor.train_step(random_batch(plain.config, 2, 1), 0, 0);
  EXPECT_FALSE(plain.executor.result().multi_token_loss);
  EXPECT_FALSE(plain.executor.result().aux_loss);
}

// Spec 3.5: counts over all micro batches, once per step, also at learning rate 0; an evaluation counts nothing.
TEST(DeepSeekModel, MovesExpertBiasesAgainstTheLoad) {
  const RunConfig config = tiny_config({{"train.global_batch", "6"}, {"train.micro_batch", "2"}});
  Machine machine(config);
  const HostBatch batch = random_batch(config, 6, 8);
  const Reference reference(machine);
  reference.objective(batch);
  machine.executor.evaluate(random_batch(config, 2, 9));
  machine.executor.train_step(batch, 0, 0);
  machine.executor.evaluate(random_batch(config, 2, 9));
  ASSERT_EQ(reference.counts.size(), 3u);  // two layers with experts and the prediction module's
  for (const auto& [name, counts] : reference.counts) {
    const Values bias = machine.weight(machine.find(name));
    const double mean = std::accumulate(counts.begin(), counts.end(), 0.0) / static_cast<double>(counts.size());
    EXPECT_EQ(mean * 8, 6 * 7 * 4);
    const auto counted = to_host_i32(machine.executor.parameters().expert_counts(machine.find(name)), {});
    EXPECT_EQ(Values(counted.begin(), counted.end()), counts) << name;
    for (size_t e = 0; e < counts.size(); ++e)
      EXPECT_NEAR(bias[e], 1e-3 * ((mean > counts[e]) - (mean < counts[e])), 1e-15) << name << " " << e;
  }
  machine.executor.train_step(batch, 0, 1);
  for (const auto& [name, counts] : reference.counts)
    for (const double bias : machine.weight(machine.find(name))) EXPECT_LE(std::abs(bias), 2e-3 + 1e-15);
}

// Gradients and moments hold bf16 values and the update is the one that such storage gives; nothing else changes.
TEST(DeepSeekModel, RoundsGradientsAndMomentsWhereAsked) {
  const auto is_bf16 = [](const Values& values) {
    for (const double value : values)
      if (static_cast<double>(to_float(to_bfloat16(static_cast<float>(value)))) != value) return false;
    return true;
  };
  const auto run = [&](const char* gradients, const char* moments) {
    const RunConfig config = small_config("1m", {{"train.gradient_storage", gradients},
                                                 {"train.moment_storage", moments},
                                                 {"train.global_batch", "4"},
                                                 {"train.micro_batch", "2"}});
    auto machine = std::make_unique<Machine>(config);
    machine->executor.train_step(random_batch(config, 4, 5), 1e-3, 0);
    return machine;
  };
  const auto wide = run("wide", "wide"), both = run("bf16", "bf16"), moments = run("wide", "bf16");
  EXPECT_FALSE(is_bf16(wide->all_gradients()));
  EXPECT_TRUE(is_bf16(both->all_gradients()));
  EXPECT_LT(relative_difference(both->all_gradients(), wide->all_gradients()), 0x1p-8);
  for (const auto& group : both->executor.parameters().groups())
    for (const Tensor& moment : {group.moment_1, group.moment_2}) EXPECT_TRUE(is_bf16(to_host(moment, {})));
  for (const auto& group : wide->executor.parameters().groups()) EXPECT_FALSE(is_bf16(to_host(group.moment_1, {})));
  EXPECT_EQ(moments->all_gradients(), wide->all_gradients());
  // The first step's update uses the moments before they are stored.
  EXPECT_EQ(moments->executor.parameters().weights_hash({}), wide->executor.parameters().weights_hash({}));
  EXPECT_NE(both->executor.parameters().weights_hash({}), wide->executor.parameters().weights_hash({}));
  EXPECT_THROW(small_config("1m", {{"device.dtype", "f64"}}), ConfigError);
}

TEST(DeepSeekModel, RunsAreBitEqual) {
  std::vector<std::string> hashes;
  Values losses;
  for (int run = 0; run < 2; ++run) {
    const RunConfig config = small_config("1m", {{"train.global_batch", "8"}, {"train.micro_batch", "4"}});
    Machine machine(config);
    for (int step = 0; step < 3; ++step) {
      machine.executor.train_step(random_batch(config, 8, static_cast<uint32_t>(step)), 1e-3, step);
      losses.push_back(machine.executor.result().loss);
    }
    hashes.push_back(machine.executor.parameters().weights_hash(machine.executor.stream()));
  }
  EXPECT_EQ(hashes[0], hashes[1]);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(losses[i], losses[i + 3]);
}

TEST(DeepSeekModel, UsesTheScratchItPlanned) {
  const RunConfig config = small_config("1m", {{"train.global_batch", "4"}, {"train.micro_batch", "4"}});
  Machine machine(config);
  const MemoryPlan plan = plan_memory(*machine.model, config);
  machine.executor.train_step(random_batch(config, 4, 1), 0, 0);
  machine.executor.evaluate(random_batch(config, 4, 2));
  EXPECT_EQ(machine.executor.scratch_high_water(), plan.scratch);
  EXPECT_EQ(plan.parameters.buffers, 4u * 16 * 8);  // three layers and the module, fp32 bias and int32 count each
}

// The model must be able to learn anything at all: one batch by heart.
TEST(DeepSeekModel, LearnsOneBatch) {
  const RunConfig config = small_config("1m", {{"train.global_batch", "4"}, {"train.micro_batch", "4"}});
  Machine machine(config);
  const HostBatch batch = random_batch(config, 4, 1);
  const double before = machine.mean_loss(batch);
  for (int step = 0; step < 60; ++step) machine.executor.train_step(batch, 3e-3, step);
  EXPECT_LT(machine.mean_loss(batch), 0.4 * before);
}

TEST(DeepSeekModel, RefusesOtherModels) {
  const auto make = [](const Overrides& overrides) {
    const RunConfig config = small_config("1m", overrides);
    deepseekv3_671b::make_workload()->make_model(config, {});
  };
  EXPECT_NO_THROW(make({}));
  EXPECT_THROW(make({{"model.activation", "clamped_swiglu"}}), ConfigError);
  EXPECT_THROW(make({{"model.vocabulary_multiple", "2"}}), ConfigError);
  EXPECT_THROW(make({{"model.router.kind", "softmax"},
                     {"model.router.groups", "1"},
                     {"model.router.kept_groups", "1"},
                     {"model.router.scaling", "1"},
                     {"model.router.aux_loss", "0"},
                     {"model.router.bias_rate", "0"}}),
               ConfigError);
}

}  // namespace
}  // namespace timetrial::testing
