// Ten steps of the small shape: bit for bit the same on the same threads, within a stated bound on others and in bf16.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>

#include "gpt_oss_20b/fixture.h"

namespace timetrial::testing {
namespace {

constexpr int64_t kSteps = 10;

// Sets the number of threads for as long as it lives.
class Threads {
 public:
  explicit Threads(int count) : before_(omp_get_max_threads()) { omp_set_num_threads(count); }
  ~Threads() { omp_set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

struct Trace {
  std::vector<double> losses, norms;
  std::string weights;
};

Trace ten_steps(const std::string& form, int threads, const Overrides& more = {}) {
  const Threads set(threads);
  Overrides overrides = {{"form", form}, {"train.warmup_steps", "2"}};
  overrides.insert(overrides.end(), more.begin(), more.end());
  Machine machine(small_config("small", overrides));
  Trace trace;
  for (int64_t step = 0; step < kSteps; ++step) {
    machine.executor.train_step(random_batch(machine.config, 32, static_cast<uint32_t>(step)), 1e-3, step);
    const StepResult result = machine.executor.result();
    trace.losses.push_back(result.loss);
    trace.norms.push_back(result.gradient_norm);
  }
  trace.weights = machine.executor.parameters().weights_hash(machine.executor.stream());
  return trace;
}

double worst_relative(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::fabs(a[i] - b[i]) / std::fabs(b[i]));
  return worst;
}

class Determinism : public ::testing::TestWithParam<const char*> {};

TEST_P(Determinism, SameThreadsSameBits) {
  for (const int threads : {1, 2}) {
    const Trace first = ten_steps(GetParam(), threads), second = ten_steps(GetParam(), threads);
    EXPECT_EQ(first.losses, second.losses) << threads << " threads";
    EXPECT_EQ(first.norms, second.norms) << threads << " threads";
    EXPECT_EQ(first.weights, second.weights) << threads << " threads";
  }
}

// The bound that docs/architecture.md states: losses to 1e-6, gradient norms to 1e-4 over ten steps.
TEST_P(Determinism, OtherThreadsStayWithinTheBound) {
  const Trace one = ten_steps(GetParam(), 1);
  for (const int threads : {2, 3}) {
    const Trace other = ten_steps(GetParam(), threads);
    EXPECT_LE(worst_relative(other.losses, one.losses), 1e-6) << threads << " threads";
    EXPECT_LE(worst_relative(other.norms, one.norms), 1e-4) << threads << " threads";
  }
}

// What bf16 storage does to a run: the seen difference is about a third of these bounds.
TEST_P(Determinism, Bf16StorageStaysNearFp32) {
  const Trace fine = ten_steps(GetParam(), 2), coarse = ten_steps(GetParam(), 2, {{"device.dtype", "bf16"}});
  const double losses = worst_relative(coarse.losses, fine.losses), norms = worst_relative(coarse.norms, fine.norms);
  EXPECT_LE(losses, 2e-3);
  EXPECT_LE(norms, 5e-2);
  EXPECT_GT(losses, 1e-6) << "bf16 rounds to 8 bits; a run that does not show it did not use it";
}

INSTANTIATE_TEST_SUITE_P(Forms, Determinism, ::testing::Values("submitted", "reference"),
                         [](const auto& test) { return std::string(test.param); });

TEST(Bf16, WeightsAreTheRoundedMasters) {
  Machine machine(small_config("1m", {{"device.dtype", "bf16"}}));
  for (int64_t step = 0; step < 3; ++step)
    machine.executor.train_step(random_batch(machine.config, 32, static_cast<uint32_t>(step)), 1e-3, step);
  for (const ParameterStore::Group& group : machine.executor.parameters().groups()) {
    ASSERT_EQ(group.weights.dtype(), DType::bf16);
    ASSERT_EQ(group.master.dtype(), DType::f32);
    const auto weights = to_host(group.weights, {}), masters = to_host(group.master, {});
    int64_t finer = 0;
    for (size_t i = 0; i < weights.size(); ++i) {
      ASSERT_EQ(weights[i], to_float(to_bfloat16(static_cast<float>(masters[i])))) << i;
      finer += weights[i] != masters[i];
    }
    EXPECT_GT(finer, static_cast<int64_t>(weights.size() / 2)) << "masters keep what bf16 cannot";
  }
}

}  // namespace
}  // namespace timetrial::testing
