// The model as a whole: parameter counts, starting loss, accumulation, determinism, memory plan, float against double.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "gpt_oss_20b/fixture.h"
#include "timetrial/config/schedule.h"

namespace timetrial::testing {
namespace {

constexpr const char* kForms[] = {"submitted", "reference", "published"};

TEST(GptOssModel, DeclaresTheParametersTheShapeCounts) {
  for (const char* variant : {"full", "1b", "10m", "1m", "small"})
    for (const char* form : kForms) {
      const RunConfig config = small_config(variant, {{"form", form}});
      const auto model = gpt_oss_20b::make_workload()->make_model(config, {});
      EXPECT_EQ(model->parameters().elements(), count(config.model).total) << variant << " " << form;
    }
}

// Spec 15.2: std^2 h is kept (1.152, reference 0.184), so the first loss is ln V + half of it within the noise of a few
// hundred tokens.
TEST(GptOssModel, StartsAtTheExpectedLoss) {
  for (const auto& [form, half_variance] :
       {std::pair{"submitted", 0.576}, {"reference", 0.092}, {"published", 0.576}}) {
    const RunConfig config =
        small_config("1m", {{"form", form}, {"train.global_batch", "16"}, {"train.micro_batch", "8"}});
    Machine machine(config);
    EXPECT_NEAR(machine.mean_loss(random_batch(config, 16, 1)), std::log(1024) + half_variance, 0.15) << form;
  }
}

TEST(GptOssModel, DecaysMatricesOnly) {
  for (const char* form : kForms) {
    const auto model = gpt_oss_20b::make_workload()->make_model(small_config("1m", {{"form", form}}), {});
    for (const ParameterSpec& spec : model->parameters().specs()) {
      const bool vector =
          spec.name.ends_with(".bias") || spec.name.ends_with(".sinks") || spec.name.find("norm") != std::string::npos;
      EXPECT_EQ(spec.decay, !vector) << form << " " << spec.name;
    }
  }
}

std::vector<double> all_gradients(Machine& machine) {
  std::vector<double> all;
  for (int i = 0; i < machine.model->parameters().size(); ++i) {
    const std::vector<double> one = machine.gradient({i});
    all.insert(all.end(), one.begin(), one.end());
  }
  return all;
}

double relative_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(difference / size);
}

TEST(GptOssModel, AccumulationDoesNotChangeTheGradient) {
  std::vector<std::vector<double>> gradients;
  std::vector<double> losses;
  for (const char* micro : {"1", "2", "6"}) {
    const RunConfig config =
        small_config("1m", {{"device.dtype", "f64"}, {"train.global_batch", "6"}, {"train.micro_batch", micro}});
    Machine machine(config);
    machine.executor.train_step(random_batch(config, 6, 5), 0, 0);
    gradients.push_back(all_gradients(machine));
    losses.push_back(machine.executor.result().loss);
  }
  for (size_t i = 1; i < gradients.size(); ++i) {
    EXPECT_LT(relative_difference(gradients[i], gradients[0]), 1e-12);
    EXPECT_NEAR(losses[i], losses[0], 1e-12);
  }
}

TEST(GptOssModel, FloatAgreesWithDouble) {
  std::vector<std::vector<double>> gradients;
  std::vector<double> losses, norms;
  for (const char* dtype : {"f64", "f32"}) {
    const RunConfig config =
        small_config("1m", {{"device.dtype", dtype}, {"train.global_batch", "4"}, {"train.micro_batch", "2"}});
    Machine machine(config);
    machine.executor.train_step(random_batch(config, 4, 5), 0, 0);
    gradients.push_back(all_gradients(machine));
    losses.push_back(machine.executor.result().loss);
    norms.push_back(machine.executor.result().gradient_norm);
  }
  EXPECT_NEAR(losses[1], losses[0], 1e-5 * losses[0]);
  EXPECT_NEAR(norms[1], norms[0], 1e-4 * norms[0]);
  EXPECT_LT(relative_difference(gradients[1], gradients[0]), 1e-4);
}

TEST(GptOssModel, RunsAreBitEqual) {
  std::vector<std::string> hashes;
  std::vector<double> losses;
  for (int run = 0; run < 2; ++run) {
    const RunConfig config = small_config("1m", {{"train.global_batch", "8"}, {"train.micro_batch", "4"}});
    Machine machine(config);
    for (int step = 0; step < 4; ++step) {
      machine.executor.train_step(random_batch(config, 8, static_cast<uint32_t>(step)), 1e-3, step);
      losses.push_back(machine.executor.result().loss);
    }
    hashes.push_back(machine.executor.parameters().weights_hash(machine.executor.stream()));
  }
  EXPECT_EQ(hashes[0], hashes[1]);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(losses[i], losses[i + 4]);
}

TEST(GptOssModel, LearningRateZeroLeavesTheWeights) {
  const RunConfig config = small_config("1m", {{"train.global_batch", "4"}, {"train.micro_batch", "4"}});
  Machine machine(config);
  const std::string before = machine.executor.parameters().weights_hash(machine.executor.stream());
  machine.executor.train_step(random_batch(config, 4, 1), 0, 0);
  EXPECT_EQ(machine.executor.parameters().weights_hash(machine.executor.stream()), before);
  machine.executor.train_step(random_batch(config, 4, 1), 1e-3, 1);
  EXPECT_NE(machine.executor.parameters().weights_hash(machine.executor.stream()), before);
}

TEST(GptOssModel, UsesTheScratchItPlanned) {
  for (const char* form : kForms) {
    const RunConfig config =
        small_config("1m", {{"form", form}, {"train.global_batch", "4"}, {"train.micro_batch", "4"}});
    Machine machine(config);
    machine.executor.train_step(random_batch(config, 4, 1), 0, 0);
    machine.executor.evaluate(random_batch(config, 4, 2));
    EXPECT_EQ(machine.executor.scratch_high_water(), plan_memory(*machine.model, config).scratch) << form;
  }
}

// The model must be able to learn anything at all: one batch by heart.
TEST(GptOssModel, LearnsOneBatch) {
  const RunConfig config = small_config("1m", {{"train.global_batch", "4"}, {"train.micro_batch", "4"}});
  Machine machine(config);
  const HostBatch batch = random_batch(config, 4, 1);
  const double before = machine.mean_loss(batch);
  for (int step = 0; step < 60; ++step) machine.executor.train_step(batch, 3e-3, step);
  EXPECT_LT(machine.mean_loss(batch), 0.3 * before);
}

}  // namespace
}  // namespace timetrial::testing
