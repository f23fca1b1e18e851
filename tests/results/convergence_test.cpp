// Every outcome of the convergence check: official message, verdict, factor, and words for people.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/convergence.h"

#include <gtest/gtest.h>

#include <cmath>

namespace timetrial::results {
namespace {

struct Runs {
  std::string benchmark = "gpt_oss_20b";
  Json batch = 16;
  std::vector<double> reached;
  int unconverged = 0;
};

ConvergenceVerdict judge(const Runs& runs, const ConvergenceOptions& options = {}) {
  std::vector<ConvergenceReading> readings;
  std::vector<std::string> names;
  for (size_t i = 0; i < runs.reached.size() + static_cast<size_t>(runs.unconverged); ++i) {
    const bool converged = i < runs.reached.size();
    readings.push_back({.batch = runs.batch,
                        .benchmark = Json(runs.benchmark),
                        .converged = converged,
                        .reached = converged ? runs.reached[i] : kNever,
                        .trouble_line = 0,
                        .trouble = {}});
    names.push_back("result_" + std::to_string(i) + ".txt");
  }
  return judge_convergence(readings, names, options);
}

std::vector<double> ten(double samples) { return std::vector<double>(10, samples); }

TEST(Convergence, FoundPassesFromTheMinimumOnAndScalesUpToTheMean) {
  const auto at_mean = judge({.reached = ten(194560)});
  EXPECT_EQ(at_mean.which, ConvergenceCase::found);
  EXPECT_TRUE(at_mean.passed);
  EXPECT_EQ(at_mean.message, "RCP found");
  EXPECT_EQ(at_mean.factor, 1);
  EXPECT_FALSE(scaling_file_text(at_mean).has_value());

  const auto faster = judge({.reached = ten(190000)});
  EXPECT_TRUE(faster.passed);
  EXPECT_EQ(faster.factor, 194560.0 / 190000);
  EXPECT_EQ(scaling_file_text(faster), "{\"scaling_factor\": 1.024}");
  EXPECT_NE(faster.explanation.find("multiplied by 1.024000"), std::string::npos) << faster.explanation;

  EXPECT_TRUE(judge({.reached = ten(188720)}).passed);
  const auto too_fast = judge({.reached = ten(188719)});
  EXPECT_FALSE(too_fast.passed);
  EXPECT_FALSE(scaling_file_text(too_fast).has_value());
  EXPECT_NEAR(too_fast.factor, 194560.0 / 188719, 1e-15);
  EXPECT_NE(too_fast.explanation.find("188719"), std::string::npos);
  EXPECT_NE(too_fast.explanation.find("t-test"), std::string::npos);
}

TEST(Convergence, FastestAndSlowestAreDropped) {
  std::vector<double> reached = ten(194560);
  reached[3] = 1;
  reached[7] = 9e8;
  EXPECT_EQ(judge({.reached = reached}).submission_mean, 194560);
}

TEST(Convergence, BetweenBelowAndAbovePoints) {
  const auto between = judge({.batch = 24, .reached = ten(250000)});
  EXPECT_EQ(between.which, ConvergenceCase::interpolated);
  EXPECT_EQ(between.message, "RCP Interpolation");
  EXPECT_EQ(between.point->mean, 194560 + (301056.0 - 194560) / 48 * 8);  // 32 is pruned
  const auto pruned = judge({.batch = 32, .reached = ten(230061)});
  EXPECT_EQ(pruned.which, ConvergenceCase::interpolated);

  const auto below = judge({.batch = 8, .reached = ten(200000)});
  EXPECT_TRUE(below.passed);
  EXPECT_EQ(below.message, "RCP not found but slower convergence on smaller batch size");
  const auto below_fast = judge({.batch = 8, .reached = ten(180000)});
  EXPECT_FALSE(below_fast.passed);
  EXPECT_EQ(below_fast.message, "Missing RCP, please submit RCP with BS = 8");

  const auto above = judge({.batch = 128.0, .reached = ten(1e6)});
  EXPECT_FALSE(above.passed);
  EXPECT_EQ(above.which, ConvergenceCase::above);
  EXPECT_EQ(above.message, "Missing RCP, please submit RCP with BS = 128.0");
  EXPECT_EQ(above.factor, 1);
}

TEST(Convergence, TheAllowanceOf405b) {
  // 285344.1 - 46080: one evaluation of the old schedule (digest 3.2).
  EXPECT_TRUE(judge({.benchmark = "llama31_405b", .batch = 1152, .reached = {1, 239265, 9e8}}).passed);
  const auto fast = judge({.benchmark = "llama31_405b", .batch = 1152, .reached = {1, 239264, 9e8}});
  EXPECT_FALSE(fast.passed);
  EXPECT_NE(fast.explanation.find("allowance of 46080"), std::string::npos) << fast.explanation;
}

TEST(Convergence, OneRunMayMissTheTarget) {
  std::vector<double> nine(9, 200000);
  EXPECT_TRUE(judge({.reached = nine, .unconverged = 1}).passed);
  const auto two = judge({.reached = std::vector<double>(8, 200000), .unconverged = 2});
  EXPECT_FALSE(two.passed);
  EXPECT_EQ(two.message, "Insufficient convergence");
  EXPECT_NE(two.explanation.find("result_8.txt, result_9.txt"), std::string::npos);
}

TEST(Convergence, TwoFilesLeaveNoMean) {
  const auto two = judge({.reached = {200000, 200000}});
  EXPECT_FALSE(two.passed);
  EXPECT_TRUE(std::isnan(two.factor));
  EXPECT_EQ(two.message, "RCP found");
}

TEST(Convergence, WithoutBatchSizeOrBenchmark) {
  const auto make = [](std::optional<Json> batch, std::optional<Json> benchmark) {
    return ConvergenceReading{std::move(batch), std::move(benchmark), true, 200000, 0, {}};
  };
  const std::vector<std::string> names = {"a", "b", "c"};
  const Json gpt = "gpt_oss_20b", llama = "llama31_8b";
  const auto none = judge_convergence({make({}, gpt), make({}, gpt), make({}, gpt)}, names, {});
  EXPECT_EQ(none.message, "Could not detect global_batch_size");
  EXPECT_FALSE(none.passed);
  // The first log may lack what later ones have; not the other way round.
  EXPECT_EQ(judge_convergence({make({}, gpt), make(16, gpt), make(16, gpt)}, names, {}).message, "RCP found");
  for (const auto& readings :
       {std::vector{make(16, gpt), make({}, gpt), make(16, gpt)},
        std::vector{make(16, gpt), make(32, gpt), make(16, gpt)},
        std::vector{make(16, gpt), make(16, llama), make(16, gpt)},
        std::vector{make(16, {}), make(16, {}), make(16, {})},
        std::vector{make("16", gpt), make("16", gpt), make("16", gpt)},
        std::vector{make(16, Json("resnet")), make(16, Json("resnet")), make(16, Json("resnet"))}}) {
    const auto verdict = judge_convergence(readings, names, {});
    EXPECT_EQ(verdict.which, ConvergenceCase::unusable) << verdict.explanation;
    EXPECT_FALSE(verdict.passed);
    EXPECT_TRUE(verdict.message.empty());
    EXPECT_FALSE(verdict.explanation.empty());
  }
  EXPECT_EQ(judge_convergence({make(16.0, gpt), make(16, gpt), make(16, gpt)}, names, {}).message, "RCP found");
}

TEST(Convergence, BypassTurnsAComparisonIntoAPassWithANote) {
  const ConvergenceOptions bypass = {.ruleset = "6.0.0", .bypass = true};
  const auto fast = judge({.reached = ten(100000)}, bypass);
  EXPECT_TRUE(fast.passed);
  EXPECT_TRUE(fast.bypassed);
  EXPECT_EQ(fast.message, "RCP found passed using rcp_bypass");
  EXPECT_FALSE(scaling_file_text(fast).has_value());
  EXPECT_EQ(judge({.batch = 128, .reached = ten(1)}, bypass).message,
            "Missing RCP, please submit RCP with BS = 128 passed using rcp_bypass");
  EXPECT_FALSE(judge({.reached = std::vector<double>(8, 2e5), .unconverged = 2}, bypass).passed);
  EXPECT_FALSE(judge({.reached = ten(200000)}, bypass).bypassed);
}

}  // namespace
}  // namespace timetrial::results
