// The model as a whole: gradients of every tensor against central differences, starting loss, accumulation, float
// against double, memory plan, determinism. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "llama31_405b/fixture.h"

namespace timetrial::testing {
namespace {

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// Central difference of the mean loss when parameter `id` moves by +-step along `direction`.
double difference(Machine& machine, const HostBatch& batch, ParamId id, const std::vector<double>& direction) {
  constexpr double kStep = 1e-5;
  const Tensor weight = machine.executor.parameters().weight(id);
  const std::vector<double> original = machine.weight(id);
  const auto loss_at = [&](double t) {
    std::vector<double> moved = original;
    for (size_t i = 0; i < moved.size(); ++i) moved[i] += t * direction[i];
    from_host(weight, moved, machine.executor.stream());
    return machine.mean_loss(batch);
  };
  const double slope = (loss_at(kStep) - loss_at(-kStep)) / (2 * kStep);
  from_host(weight, original, machine.executor.stream());
  return slope;
}

// A random direction touches every element at once; the element with the largest gradient is also moved alone.
TEST(LlamaGradient, OfEveryTensorMatchesCentralDifferences) {
  const RunConfig config = llama_config("1m", {{"device.dtype", "f64"},
                                               {"train.global_batch", "1"},
                                               {"train.micro_batch", "1"},
                                               {"evaluation.every_samples", "1"}});
  Machine machine(config);
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  for (int i = 0; i < machine.model->parameters().size(); ++i) {  // norms start at 1, where mistakes hide
    std::vector<double> values = machine.weight({i});
    for (double& value : values) value += 0.02 * normal(random);
    from_host(machine.executor.parameters().weight({i}), values, machine.executor.stream());
  }
  const HostBatch batch = random_batch(config, 1, 11);
  machine.executor.train_step(batch, 0, 0);
  EXPECT_NEAR(machine.executor.result().loss, machine.mean_loss(batch), 1e-12);
  for (int i = 0; i < machine.model->parameters().size(); ++i) {
    const std::string& name = machine.model->parameters().specs()[static_cast<size_t>(i)].name;
    const std::vector<double> gradient = machine.gradient({i});
    const double size = std::sqrt(dot(gradient, gradient));
    ASSERT_GT(size, 0) << name << " has no gradient";
    std::vector<double> direction(gradient.size());
    for (double& value : direction) value = normal(random);
    const double norm = std::sqrt(dot(direction, direction));
    for (double& value : direction) value /= norm;
    EXPECT_NEAR(difference(machine, batch, {i}, direction), dot(gradient, direction), 1e-6 * size + 1e-10) << name;

    const auto largest = std::max_element(gradient.begin(), gradient.end(),
                                          [](double a, double b) { return std::abs(a) < std::abs(b); });
    std::vector<double> unit(gradient.size(), 0.0);
    unit[static_cast<size_t>(largest - gradient.begin())] = 1;
    EXPECT_NEAR(difference(machine, batch, {i}, unit), *largest, 1e-6 * size + 1e-10) << name;
  }
}

// Padded rows are pushed down by every softmax though they never are a label (spec 1.1).
TEST(LlamaModel, PaddedRowsTakePartInTheSoftmax) {
  const RunConfig config = llama_config("1m", {{"train.global_batch", "4"}, {"train.micro_batch", "4"}});
  Machine machine(config);
  machine.executor.train_step(random_batch(config, 4, 5), 0, 0);
  const int head = machine.model->parameters().size() - 1;
  ASSERT_EQ(machine.model->parameters().specs().back().name, "head.output.weight");
  const std::vector<double> gradient = machine.gradient({head});
  const auto width = static_cast<size_t>(config.model.hidden);
  for (auto row = static_cast<size_t>(config.model.vocabulary); row < gradient.size() / width; ++row) {
    double size = 0;
    for (size_t i = 0; i < width; ++i) size += std::abs(gradient[row * width + i]);
    EXPECT_GT(size, 0) << row;
  }
}

TEST(LlamaModel, StartsAtTheExpectedLoss) {
  const RunConfig config = llama_config("1m", {{"train.global_batch", "16"}, {"train.micro_batch", "8"}});
  Machine machine(config);
  const double variance = config.model.init_std * config.model.init_std * static_cast<double>(config.model.hidden);
  EXPECT_NEAR(machine.mean_loss(random_batch(config, 16, 1)), std::log(1024) + variance / 2, 0.15);
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
  double difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(difference / dot(b, b));
}

TEST(LlamaModel, AccumulationDoesNotChangeTheGradient) {
  std::vector<std::vector<double>> gradients;
  for (const char* micro : {"1", "3"}) {
    const RunConfig config =
        llama_config("1m", {{"device.dtype", "f64"}, {"train.global_batch", "3"}, {"train.micro_batch", micro}});
    Machine machine(config);
    machine.executor.train_step(random_batch(config, 3, 5), 0, 0);
    gradients.push_back(all_gradients(machine));
  }
  EXPECT_LT(relative_difference(gradients[1], gradients[0]), 1e-12);
}

TEST(LlamaModel, FloatAgreesWithDouble) {
  std::vector<std::vector<double>> gradients;
  std::vector<double> losses;
  for (const char* dtype : {"f64", "f32"}) {
    const RunConfig config = llama_config("1m", {{"device.dtype", dtype},
                                                 {"train.global_batch", "2"},
                                                 {"train.micro_batch", "1"},
                                                 {"evaluation.every_samples", "2"}});
    Machine machine(config);
    machine.executor.train_step(random_batch(config, 2, 5), 0, 0);
    gradients.push_back(all_gradients(machine));
    losses.push_back(machine.executor.result().loss);
  }
  EXPECT_NEAR(losses[1], losses[0], 1e-5 * losses[0]);
  EXPECT_LT(relative_difference(gradients[1], gradients[0]), 1e-4);
}

TEST(LlamaModel, UsesTheScratchItPlannedAndRepeatsBitForBit) {
  std::vector<std::string> hashes;
  for (int run = 0; run < 2; ++run) {
    const RunConfig config = llama_config("1m", {{"train.global_batch", "4"}, {"train.micro_batch", "2"}});
    Machine machine(config);
    for (int step = 0; step < 3; ++step)
      machine.executor.train_step(random_batch(config, 4, static_cast<uint32_t>(step)), 1e-3, step);
    machine.executor.evaluate(random_batch(config, 4, 9));
    EXPECT_EQ(machine.executor.scratch_high_water(), plan_memory(*machine.model, config).scratch);
    hashes.push_back(machine.executor.parameters().weights_hash(machine.executor.stream()));
  }
  EXPECT_EQ(hashes[0], hashes[1]);
}

TEST(LlamaModel, LearnsOneBatch) {
  const RunConfig config = llama_config("1m", {{"train.global_batch", "4"}, {"train.micro_batch", "4"}});
  Machine machine(config);
  const HostBatch batch = random_batch(config, 4, 1);
  const double before = machine.mean_loss(batch);
  for (int step = 0; step < 60; ++step) machine.executor.train_step(batch, 3e-3, step);
  EXPECT_LT(machine.mean_loss(batch), 0.3 * before);
}

}  // namespace
}  // namespace timetrial::testing
