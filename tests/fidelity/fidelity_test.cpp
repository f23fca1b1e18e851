// The engine against PyTorch and transformers: logits, losses, every gradient, twenty AdamW steps. Prints the worst
// differences, which docs/fidelity.md collects. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "fidelity/comparison.h"

namespace timetrial::fidelity {
namespace {

struct Setting {
  std::string name;
  DType dtype;
  int64_t micro_batch;
};
void PrintTo(const Setting& s, std::ostream* out) { *out << s.name << " " << name_of(s.dtype) << " " << s.micro_batch; }

// Every case in both types, in every cut into micro batches of 1, 3 or all rows.
std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const std::string& name : all_cases()) {
    const int64_t rows = Golden(name).rows();
    for (const DType dtype : {DType::f32, DType::f64})
      for (const int64_t micro : {int64_t{1}, int64_t{3}})
        if (rows % micro == 0) all.push_back({name, dtype, micro});
  }
  return all;
}

std::vector<Setting> settings_with_trajectory() {
  std::vector<Setting> all = settings();
  std::erase_if(all, [](const Setting& s) { return !Golden(s.name).has("f64.trajectory.losses"); });
  return all;
}

class Fidelity : public ::testing::TestWithParam<Setting> {};
class FidelityOfTraining : public Fidelity {};

TEST_P(Fidelity, LogitsLossesAndGradientsAgree) {
  const auto& [name, dtype, micro] = GetParam();
  const Golden golden(name);
  const Agreement worst = compare(golden, compute(golden, {.dtype = dtype, .micro_batch = micro}), dtype);
  fmt::print("| {} | {} | {} x {} | {:.1e} | {:.1e} | {:.1e} | {:.1e} |\n", name, name_of(dtype), micro,
             golden.rows() / micro, worst.logits, worst.losses, worst.gradients, worst.norm);
  EXPECT_TRUE(agrees(worst, dtype)) << "logits " << worst.logits << ", losses " << worst.losses << ", gradients "
                                    << worst.gradients << " (" << worst.worst_gradient << "), norm " << worst.norm;
}

TEST_P(FidelityOfTraining, TwentyStepsAgree) {
  const auto& [name, dtype, micro] = GetParam();
  const Golden golden(name);
  const std::string kind(name_of(dtype));
  const Trajectory engine = train(golden, {.dtype = dtype, .micro_batch = micro});
  const Values losses = golden.values(kind + ".trajectory.losses"), norms = golden.values(kind + ".trajectory.norms");
  ASSERT_EQ(engine.losses.size(), losses.size());
  ASSERT_EQ(losses.size(), 20u);
  double worst_loss = 0, worst_norm = 0;
  for (size_t step = 0; step < losses.size(); ++step) {
    worst_loss = std::max(worst_loss, std::fabs(engine.losses[step] - losses[step]) / losses[step]);
    worst_norm = std::max(worst_norm, std::fabs(engine.norms[step] - norms[step]) / norms[step]);
  }
  fmt::print("| {} | {} | {} x {} | 20 steps: losses {:.1e} | norms {:.1e} |\n", name, kind, micro,
             golden.rows() / micro, worst_loss, worst_norm);
  EXPECT_LE(worst_loss, 1e-5);
  EXPECT_LE(worst_norm, 1e-4);
  EXPECT_NE(losses.front(), losses.back());
}

std::string name_of_test(const ::testing::TestParamInfo<Setting>& test) {
  std::string name = fmt::format("{}_{}_micro{}", test.param.name, name_of(test.param.dtype), test.param.micro_batch);
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Golden, Fidelity, ::testing::ValuesIn(settings()), name_of_test);
INSTANTIATE_TEST_SUITE_P(Golden, FidelityOfTraining, ::testing::ValuesIn(settings_with_trajectory()), name_of_test);

// The cases must cover what they were recorded for.
TEST(FidelityCases, CoverTheShapesAskedFor) {
  bool odd = false, one = false, three = false;
  std::map<std::string, int> of_workload;
  for (const std::string& name : all_cases()) {
    const Golden golden(name);
    ++of_workload[golden.workload()];
    odd = odd || golden.batch(0).row_length % 2 == 0;  // one more than the sequence length
    one = one || golden.rows() == 1;
    three = three || golden.rows() == 3;
  }
  EXPECT_TRUE(odd && one && three);
  std::map<std::string, int> trained;
  for (const Setting& setting : settings_with_trajectory()) ++trained[Golden(setting.name).workload()];
  EXPECT_EQ(trained.size(), of_workload.size());
  EXPECT_GE(of_workload["gpt_oss_20b"], 5);
  EXPECT_GE(of_workload["llama31_405b"], 3);
  EXPECT_GE(of_workload["deepseekv3_671b"], 3);
}

// In this case every token of every layer goes to expert 0, and none to expert 3.
TEST(FidelityCases, OneExpertTakesAllAndOneNone) {
  const Golden golden("gpt_oss_20b/submitted_one_expert");
  for (const char* layer : {"0", "1"}) {
    const Values gradient = golden.values(fmt::format("f64.gradient.model.layers.{}.mlp.experts.down_proj", layer));
    const size_t of_expert = gradient.size() / 4;
    const auto size = [&](size_t expert) {
      double sum = 0;
      for (size_t i = 0; i < of_expert; ++i) sum += std::fabs(gradient[expert * of_expert + i]);
      return sum;
    };
    EXPECT_GT(size(0), 0);
    EXPECT_EQ(size(3), 0);
  }
}

}  // namespace
}  // namespace timetrial::fidelity
