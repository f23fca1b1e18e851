// Whole-model gradients of the 1M shape in double against central differences, every parameter tensor.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "gpt_oss_20b/fixture.h"

namespace timetrial::testing {
namespace {

// Central difference of the mean loss when parameter `id` moves by +-step along `direction`.
double difference(Machine& machine, const HostBatch& batch, ParamId id, const std::vector<double>& direction,
                  double step) {
  const Tensor weight = machine.executor.parameters().weight(id);
  const StreamRef stream = machine.executor.stream();
  const std::vector<double> original = to_host(weight, stream);
  const auto loss_at = [&](double t) {
    std::vector<double> moved = original;
    for (size_t i = 0; i < moved.size(); ++i) moved[i] += t * direction[i];
    from_host(weight, moved, stream);
    return machine.mean_loss(batch);
  };
  const double slope = (loss_at(step) - loss_at(-step)) / (2 * step);
  from_host(weight, original, stream);
  return slope;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

class WholeModelGradient : public ::testing::TestWithParam<const char*> {};

// A random direction touches every element at once; the elements with the largest gradients are also moved alone. Top-k
// choices are piecewise constant, so the step is small enough not to change one.
TEST_P(WholeModelGradient, MatchesCentralDifferences) {
  const RunConfig config = small_config("1m", {{"form", GetParam()},
                                               {"device.dtype", "f64"},
                                               {"train.global_batch", "1"},
                                               {"train.micro_batch", "1"},
                                               {"evaluation.every_samples", "1"}});
  Machine machine(config);
  // Biases, sinks and norms start at 0 or 1, where mistakes hide: move everything off its start.
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  for (int i = 0; i < machine.model->parameters().size(); ++i) {
    const Tensor weight = machine.executor.parameters().weight({i});
    std::vector<double> values = to_host(weight, machine.executor.stream());
    for (double& value : values) value += 0.02 * normal(random);
    from_host(weight, values, machine.executor.stream());
  }
  const HostBatch batch = random_batch(config, 1, 11);
  machine.executor.train_step(batch, 0, 0);
  EXPECT_NEAR(machine.executor.result().loss, machine.mean_loss(batch), 1e-12);

  double worst = 0;
  for (int i = 0; i < machine.model->parameters().size(); ++i) {
    const std::string& name = machine.model->parameters().specs()[static_cast<size_t>(i)].name;
    const std::vector<double> gradient = machine.gradient({i});
    const double size = std::sqrt(dot(gradient, gradient));
    ASSERT_GT(size, 0) << name << " has no gradient";
    std::vector<double> direction(gradient.size());
    for (double& value : direction) value = normal(random);
    const double norm = std::sqrt(dot(direction, direction));
    for (double& value : direction) value /= norm;
    const double along = difference(machine, batch, {i}, direction, 1e-5);
    worst = std::max(worst, std::abs(along - dot(gradient, direction)) / size);
    EXPECT_NEAR(along, dot(gradient, direction), 1e-6 * size + 1e-10) << name;

    std::vector<size_t> order(gradient.size());
    std::iota(order.begin(), order.end(), size_t{0});
    const size_t singles = std::min<size_t>(2, order.size());
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(singles), order.end(),
                      [&](size_t a, size_t b) { return std::abs(gradient[a]) > std::abs(gradient[b]); });
    for (size_t k = 0; k < singles; ++k) {
      std::vector<double> unit(gradient.size(), 0.0);
      unit[order[k]] = 1;
      EXPECT_NEAR(difference(machine, batch, {i}, unit, 1e-5), gradient[order[k]], 1e-6 * size + 1e-10)
          << name << "[" << order[k] << "]";
    }
  }
  RecordProperty("worst_relative_error", std::to_string(worst));
}

INSTANTIATE_TEST_SUITE_P(Forms, WholeModelGradient, ::testing::Values("submitted", "reference"),
                         [](const auto& form) { return std::string(form.param); });

}  // namespace
}  // namespace timetrial::testing
