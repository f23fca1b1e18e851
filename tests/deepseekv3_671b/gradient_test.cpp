// Every parameter's gradient in double against central differences of the whole objective (main loss, prediction at its
// weight, auxiliary losses), which the plain loops of reference.h compute. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "deepseekv3_671b/reference.h"

namespace timetrial::testing {
namespace {

using Values = std::vector<double>;

double dot(const Values& a, const Values& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

class Slopes {
 public:
  Slopes(Machine& machine, HostBatch batch)
      : reference_(machine), shape_(machine.config.model), batch_(std::move(batch)) {}
  // Top-k choices are piecewise constant, so the step is small enough not to change one.
  double along(const std::string& name, const Values& direction) {
    constexpr double kStep = 1e-5;
    Values& weight = reference_.parameters.at(name);
    const Values original = weight;
    const auto total_at = [&](double t) {
      for (size_t i = 0; i < weight.size(); ++i) weight[i] = original[i] + t * direction[i];
      return reference_.objective(batch_).total(shape_);
    };
    const double slope = (total_at(kStep) - total_at(-kStep)) / (2 * kStep);
    weight = original;
    return slope;
  }

 private:
  Reference reference_;
  ModelShape shape_;
  HostBatch batch_;
};

// A random direction touches every element at once; the elements with the largest gradients are also moved alone.
double expect_gradients(Machine& machine, const HostBatch& batch) {
  Slopes slopes(machine, batch);
  std::mt19937 random(9);
  std::normal_distribution<double> normal;
  machine.executor.train_step(batch, 0, 0);
  double worst = 0;
  for (int i = 0; i < machine.size(); ++i) {
    const ParameterSpec& spec = machine.specs()[static_cast<size_t>(i)];
    if (!spec.trainable) continue;
    const Values gradient = machine.gradient({i});
    const double length = std::sqrt(dot(gradient, gradient));
    EXPECT_GT(length, 0) << spec.name << " has no gradient";
    Values direction(gradient.size());
    for (double& value : direction) value = normal(random);
    const double norm = std::sqrt(dot(direction, direction));
    for (double& value : direction) value /= norm;
    const double slope = slopes.along(spec.name, direction);
    worst = std::max(worst, std::abs(slope - dot(gradient, direction)) / length);
    EXPECT_NEAR(slope, dot(gradient, direction), 1e-6 * length + 1e-10) << spec.name;
    const auto largest = std::max_element(gradient.begin(), gradient.end(),
                                          [](double a, double b) { return std::abs(a) < std::abs(b); });
    Values unit(gradient.size(), 0.0);
    unit[static_cast<size_t>(largest - gradient.begin())] = 1;
    EXPECT_NEAR(slopes.along(spec.name, unit), *largest, 1e-6 * length + 1e-10) << spec.name;
  }
  return worst;
}

struct Batches {
  const char *global, *micro, *length;
};
void PrintTo(const Batches& b, std::ostream* out) { *out << b.global << "/" << b.micro << " of " << b.length; }

class WholeModelGradient : public ::testing::TestWithParam<Batches> {};

TEST_P(WholeModelGradient, IsThatOfTheWholeObjective) {
  const Batches b = GetParam();
  const RunConfig config = tiny_config(
      {{"train.global_batch", b.global}, {"train.micro_batch", b.micro}, {"model.sequence_length", b.length}});
  Machine machine(config);
  machine.shake(0.1);
  const double worst = expect_gradients(machine, random_batch(config, config.train.global_batch, 11));
  RecordProperty("worst_relative_error", std::to_string(worst));
}

// Odd lengths, the shortest there is, batches of 1 and 3, accumulation over 1 and 3.
INSTANTIATE_TEST_SUITE_P(Shapes, WholeModelGradient,
                         ::testing::Values(Batches{"1", "1", "7"}, Batches{"3", "3", "5"}, Batches{"3", "1", "6"},
                                           Batches{"2", "2", "2"}));

// The bias sends every token to expert 0 (and its group), so that some experts get none.
TEST(WholeModelGradientOfCorners, OneExpertGetsEveryTokenAndSomeNone) {
  const RunConfig config = tiny_config();
  Machine machine(config);
  machine.shake(0.1);
  for (int i = 0; i < machine.size(); ++i) {
    if (machine.specs()[static_cast<size_t>(i)].trainable) continue;
    Values bias = machine.weight({i});
    for (size_t e = 0; e < bias.size(); ++e) bias[e] = e == 0 ? 10 : e == 7 ? -10 : 0.1 * bias[e];
    machine.set_weight({i}, bias);
  }
  const HostBatch batch = random_batch(config, 2, 12);
  Slopes slopes(machine, batch);
  machine.executor.train_step(batch, 0, 0);
  const ParamId fc1 = machine.find("layers.1.mlp.experts.fc1.weight");
  const Values gradient = machine.gradient(fc1);
  const size_t one = gradient.size() / 8;
  EXPECT_GT(dot({gradient.begin(), gradient.begin() + static_cast<std::ptrdiff_t>(one)},
                {gradient.begin(), gradient.begin() + static_cast<std::ptrdiff_t>(one)}),
            0);
  for (size_t i = 7 * one; i < gradient.size(); ++i) EXPECT_EQ(gradient[i], 0);
  const auto counts =
      to_host_i32(machine.executor.parameters().expert_counts(machine.find("layers.1.mlp.router.expert_bias")), {});
  EXPECT_EQ(counts[0], 14);  // every one of 2 x 7 tokens
  EXPECT_EQ(counts[7], 0);
  for (const char* name : {"layers.1.mlp.router.weight", "layers.1.mlp.experts.fc1.weight", "embedding.weight",
                           "head.output.weight", "prediction.layer.mlp.router.weight"}) {
    const Values g = machine.gradient(machine.find(name));
    std::mt19937 random(4);
    std::normal_distribution<double> normal;
    Values direction(g.size());
    for (double& value : direction) value = normal(random);
    const double length = std::sqrt(dot(g, g) * dot(direction, direction));
    EXPECT_NEAR(slopes.along(name, direction), dot(g, direction), 1e-6 * length + 1e-9) << name;
  }
}

// The objective's parts, each alone, so that none can make up for another: losses of the engine's own evaluation.
TEST(ReferenceModel, MainLossIsThatOfPlainLoops) {
  for (const char* length : {"1", "7", "10"}) {
    const bool shortest = std::string(length) == "1";  // nothing to predict after next
    const RunConfig config = tiny_config({{"model.sequence_length", length},
                                          {"model.multi_token.modules", shortest ? "0" : "1"},
                                          {"model.multi_token.weight", shortest ? "0" : "0.3"}});
    Machine machine(config);
    machine.shake(0.1);
    const HostBatch batch = random_batch(config, 2, 5);
    EXPECT_NEAR(machine.mean_loss(batch), Reference(machine).objective(batch).main, 1e-12) << length;
    machine.executor.train_step(batch, 0, 0);
    EXPECT_NEAR(machine.executor.result().loss, Reference(machine).objective(batch).main, 1e-12) << length;
  }
}

}  // namespace
}  // namespace timetrial::testing
