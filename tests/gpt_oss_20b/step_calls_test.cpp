// What a step asks of the device: no memory, no waits, the same calls every time; and results a step late.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "emulation/emulation/counts.h"
#include "fixtures/devices.h"
#include "fixtures/recompute.h"
#include "gpt_oss_20b/fixture.h"
#include "timetrial/device/activity.h"

namespace timetrial::testing {
namespace {

constexpr int64_t kWarmUpSteps = 3, kSteps = 10;

// Calls of each op, step by step.
class OpCalls : public OpObserver {
 public:
  void before(const OpCall& call) override { ++steps_.back()[std::string(call.name)]; }
  void after(const OpCall&) override {}
  void next_step() { steps_.emplace_back(); }
  const std::vector<std::map<std::string, int>>& steps() const { return steps_; }

 private:
  std::vector<std::map<std::string, int>> steps_;
};

// What a step asked of the runtime itself, where the device is emulated: kernels and library calls are seen there
// alone.
struct RuntimeCalls {
  int64_t launches, products, fills, copies, allocations, synchronisations;
  bool operator==(const RuntimeCalls&) const = default;
};
RuntimeCalls runtime_calls() {
  if constexpr (TIMETRIAL_EMULATED) {
    const emulation::Counts now = emulation::counts();
    return {now.launches, now.products, now.fills, now.copies, now.allocations, now.synchronisations};
  } else {
    return {};
  }
}
RuntimeCalls operator-(const RuntimeCalls& a, const RuntimeCalls& b) {
  return {a.launches - b.launches, a.products - b.products,       a.fills - b.fills,
          a.copies - b.copies,     a.allocations - b.allocations, a.synchronisations - b.synchronisations};
}

RunConfig config_on(Device device, DType dtype, const Overrides& overrides = {}) {
  Overrides all = {{"model.layers", "2"},       {"model.sequence_length", "32"}, {"model.vocabulary", "256"},
                   {"train.global_batch", "4"}, {"train.micro_batch", "2"},      {"evaluation.samples", "4"}};
  all.insert(all.end(), overrides.begin(), overrides.end());
  RunConfig config = small_config("small", all);
  config.device.kind = device.kind;
  config.device.dtype = dtype;
  return config;
}

class StepCalls : public fixtures::PlaceTest {};

TEST_P(StepCalls, TakeNoMemoryAndWaitForNothing) {
  if (device().kind == DeviceKind::cpu && dtype() == DType::bf16)
    GTEST_SKIP() << "the CPU widens bf16 into memory of its own: docs/architecture.md, Numbers";
  for (const char* recompute : {"off", "full"}) {
    SCOPED_TRACE(recompute);
    const RunConfig config = config_on(device(), dtype(), {{"device.recompute", recompute}});
    const auto model = gpt_oss_20b::make_workload()->make_model(config, device());
    Executor executor(*model, config, device());
    executor.initialize(7);
    const auto batch = [&](int64_t step) { return random_batch(config, 4, static_cast<uint32_t>(step)); };
    for (int64_t step = 0; step < kWarmUpSteps; ++step) executor.train_step(batch(step), 1e-3, step);
    executor.result();

    OpCalls calls;
    if (device().kind == DeviceKind::cpu) executor.observe(&calls);
    DeviceActivity watch;
    std::optional<Executor::Ticket> late;
    std::optional<RuntimeCalls> first_step;
    for (int64_t step = kWarmUpSteps; step < kWarmUpSteps + kSteps; ++step) {
      calls.next_step();
      DeviceActivity queueing;
      const RuntimeCalls runtime_before = runtime_calls();
      const Executor::Ticket ticket = executor.train_step(batch(step), 1e-3, step);
      EXPECT_EQ(queueing.counts().waits, 0) << "step " << step;
      const RuntimeCalls asked = runtime_calls() - runtime_before;
      if (!first_step) first_step = asked;
      EXPECT_EQ(asked, *first_step) << "step " << step << ": " << asked.launches << " kernels, first "
                                    << first_step->launches;
      EXPECT_EQ(asked.allocations, 0) << "step " << step;
      EXPECT_EQ(asked.synchronisations, 0) << "step " << step;
      if (TIMETRIAL_EMULATED && device().kind == DeviceKind::cuda) {
        EXPECT_GT(asked.launches, 100);
        EXPECT_GT(asked.products, 20);
        EXPECT_EQ(asked.copies, 4);
      }
      if (late) {
        EXPECT_TRUE(std::isfinite(executor.result(*late).loss));
      }
      late = ticket;
    }
    EXPECT_EQ(watch.counts().allocations, 0);
    EXPECT_LE(watch.counts().waits, kSteps - 1);  // for the step before, when it is not over yet
    // Tokens, scalars, loss, norm.
    EXPECT_EQ(watch.counts().copies, 4 * kSteps);
    executor.observe(nullptr);
    if (device().kind != DeviceKind::cpu) continue;
    EXPECT_GT(calls.steps().front().size(), 10U);
    for (const auto& step : calls.steps()) EXPECT_EQ(step, calls.steps().front());
  }
}

TEST_P(StepCalls, GiveResultsAStepLate) {
  const RunConfig config = config_on(device(), dtype());
  const auto model = gpt_oss_20b::make_workload()->make_model(config, device());
  Executor one(*model, config, device()), late(*model, config, device());
  one.initialize(7);
  late.initialize(7);
  std::vector<StepResult> expected;
  std::optional<Executor::Ticket> before;
  for (int64_t step = 0; step < 4; ++step) {
    const HostBatch batch = random_batch(config, 4, static_cast<uint32_t>(step));
    one.train_step(batch, 1e-3, step);
    expected.push_back(one.result());
    const Executor::Ticket ticket = late.train_step(batch, 1e-3, step);
    if (before) {
      const StepResult result = late.result(*before);
      EXPECT_EQ(result.loss, expected[static_cast<size_t>(step) - 1].loss);
      EXPECT_EQ(result.gradient_norm, expected[static_cast<size_t>(step) - 1].gradient_norm);
    }
    if (step >= 2) {
      EXPECT_THROW(late.result(ticket - 2), Error) << "two are held";
    }
    before = ticket;
  }
  EXPECT_EQ(late.result().loss, expected.back().loss);
  EXPECT_NE(expected[0].loss, expected[1].loss);
}

INSTANTIATE_TEST_SUITE_P(Places, StepCalls, ::testing::ValuesIn(fixtures::places()), fixtures::place_test_name);

}  // namespace
}  // namespace timetrial::testing
