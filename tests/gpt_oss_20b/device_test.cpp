// Three steps of the whole engine on every device and storage type: the oracle's losses and norms, the same bits twice.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "fixtures/devices.h"
#include "gpt_oss_20b/fixture.h"

namespace timetrial::testing {
namespace {

constexpr int64_t kSteps = 3;
// QK-norm and no biases; biases, sinks and the clamped activation.
constexpr const char* kForms[] = {"submitted", "published"};

struct Trace {
  std::vector<double> losses, norms;
  double evaluation = 0;
  std::string weights;
};

// Both accumulated micro batches and evaluation run; the forms' window of 16 keys is shorter than a sequence.
Trace steps_on(const std::string& form, Device device, DType dtype, bool deterministic = false) {
  RunConfig config = small_config("small", {{"form", form},
                                            {"model.layers", "2"},
                                            {"model.sequence_length", "48"},
                                            {"model.vocabulary", "256"},
                                            {"train.global_batch", "4"},
                                            {"train.micro_batch", "2"},
                                            {"evaluation.samples", "4"}});
  config.device.kind = device.kind;
  config.device.dtype = dtype;
  config.device.deterministic = deterministic;
  const auto model = gpt_oss_20b::make_workload()->make_model(config, device);
  Executor executor(*model, config, device);
  executor.initialize(7);
  Trace trace;
  for (int64_t step = 0; step < kSteps; ++step) {
    executor.train_step(random_batch(config, 4, static_cast<uint32_t>(step)), 1e-3, step);
    const StepResult result = executor.result();
    trace.losses.push_back(result.loss);
    trace.norms.push_back(result.gradient_norm);
  }
  trace.evaluation = executor.evaluate(random_batch(config, 4, 99));
  trace.weights = executor.parameters().weights_hash(executor.stream());
  return trace;
}

void expect_near(const std::vector<double>& value, const std::vector<double>& reference, double relative) {
  ASSERT_EQ(value.size(), reference.size());
  for (size_t i = 0; i < value.size(); ++i)
    EXPECT_NEAR(value[i], reference[i], relative * std::fabs(reference[i])) << "step " << i;
}

using DeviceSteps = fixtures::PlaceTest;

TEST_P(DeviceSteps, FollowTheOracle) {
  // bf16: 8 bits of weights and activations, averaged over the tokens of a step.
  const double relative = dtype() == DType::bf16 ? 1e-2 : 1e-5;
  for (const char* form : kForms) {
    SCOPED_TRACE(form);
    const Trace oracle = steps_on(form, {}, DType::f64), trace = steps_on(form, device(), dtype());
    expect_near(trace.losses, oracle.losses, relative);
    expect_near(trace.norms, oracle.norms, 10 * relative);
    EXPECT_NEAR(trace.evaluation, oracle.evaluation, relative * oracle.evaluation);
  }
}

TEST_P(DeviceSteps, GiveTheSameBitsTwice) {
  for (const char* form : kForms) {
    SCOPED_TRACE(form);
    const Trace first = steps_on(form, device(), dtype(), true), second = steps_on(form, device(), dtype(), true);
    EXPECT_EQ(first.losses, second.losses);
    EXPECT_EQ(first.norms, second.norms);
    EXPECT_EQ(first.evaluation, second.evaluation);
    EXPECT_EQ(first.weights, second.weights);
  }
}

INSTANTIATE_TEST_SUITE_P(Places, DeviceSteps, ::testing::ValuesIn(fixtures::places()), fixtures::place_test_name);

}  // namespace
}  // namespace timetrial::testing
