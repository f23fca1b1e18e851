// Many ranks do what one does: every gradient before clipping, the norm, the losses of ten steps, the expert biases, an
// evaluation. And whatever breaks that is seen. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <fmt/ranges.h>

#include "ranks/faults.h"
#include "ranks/worlds.h"

namespace timetrial::testing {
namespace {

constexpr double kDouble = 1e-10, kFloat = 1e-5;  // what the design asks for

struct Case {
  const char* workload;
  DType dtype;
  int ranks;
};

class DataParallelRun : public ::testing::TestWithParam<Case> {};

TEST_P(DataParallelRun, EqualsOneRank) {
  const Case c = GetParam();
  const Trace one = traces(tiny_config(c.workload, c.dtype, 1)).front();
  ASSERT_GT(one.norms.front(), 0.01);
  const std::vector<Trace> many = traces(tiny_config(c.workload, c.dtype, c.ranks));
  for (size_t rank = 0; rank < many.size(); ++rank) {
    EXPECT_EQ(differences(one, many[rank], c.dtype == DType::f64 ? kDouble : kFloat), std::vector<std::string>{})
        << "rank " << rank;
    EXPECT_EQ(many[rank].weights, many.front().weights) << "rank " << rank << " holds other weights";
    EXPECT_EQ(many[rank].losses, many.front().losses) << "rank " << rank << " was told other losses";
  }
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* workload : {"gpt_oss_20b", "llama31_405b", "deepseekv3_671b"})
    for (const DType dtype : {DType::f64, DType::f32})
      for (const int ranks : {2, 3, 4, 8}) all.push_back({workload, dtype, ranks});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Ranks, DataParallelRun, ::testing::ValuesIn(cases()), [](const auto& made) {
  return fmt::format("{}_{}_{}", made.param.workload, name_of(made.param.dtype), made.param.ranks);
});

// Sums that are added in rank order do not change from run to run.
TEST(DataParallelRun, GivesTheSameBitsTwice) {
  const RunConfig config = tiny_config("deepseekv3_671b", DType::f32, 4);
  const std::vector<Trace> first = traces(config), second = traces(config);
  EXPECT_EQ(first.front().losses, second.front().losses);
  EXPECT_EQ(first.front().norms, second.front().norms);
  EXPECT_EQ(first.front().weights, second.front().weights);
}

// What the comparison says of four ranks with a fault, or what the run itself threw.
std::string finding(const Meddling& fault) {
  const std::string workload = "deepseekv3_671b";
  const Trace one = traces(tiny_config(workload, DType::f64, 1)).front();
  try {
    const std::vector<Trace> many = traces(tiny_config(workload, DType::f64, 4), fault);
    std::vector<std::string> all;
    for (const Trace& trace : many) {
      const auto found = differences(one, trace, kDouble);
      all.insert(all.end(), found.begin(), found.end());
    }
    return fmt::format("{}", fmt::join(all, "; "));
  } catch (const Error& error) {
    return error.what();
  }
}

void expect_found(const Meddling& fault, const std::string& what) {
  const std::string text = finding(fault);
  EXPECT_NE(text.find(what), std::string::npos) << "found: " << text.substr(0, 400);
}

TEST(Faults, NoneIsFoundWhereNoneIs) { EXPECT_EQ(finding({}), ""); }
TEST(Faults, ADoubledAxis) { expect_found(doubled_axis(), "gradient of layers.0.attention"); }
TEST(Faults, ADroppedDivisionByMicroBatches) { expect_found(dropped_division(), "gradient of layers.0.attention"); }
TEST(Faults, ALostTiedGradient) { expect_found(lost_tied_gradient(), "embedding.weight"); }
TEST(Faults, AWrongReduceGroup) { expect_found(wrong_reduce_group(), "gradient of layers."); }
TEST(Faults, AStatisticCountedPerRank) { expect_found(skipped_sum("tokens of each expert"), "expert biases"); }
TEST(Faults, ANormPerRank) { expect_found(skipped_sum("gradient norm"), "norms"); }
TEST(Faults, ALossPerRank) { expect_found(skipped_sum("loss"), "losses"); }
TEST(Faults, WeightsThatAreNotGathered) { expect_found(stale_weights(), "losses"); }

}  // namespace
}  // namespace timetrial::testing
