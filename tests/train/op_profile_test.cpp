// OpProfile against ops whose work is known.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/op_profile.h"

#include <gtest/gtest.h>

#include "timetrial/ops/elementwise.h"
#include "timetrial/ops/matmul.h"

namespace timetrial {
namespace {

TEST(OpProfile, CountsCallsFlopsAndBytes) {
  const OwnedTensor a(DType::f32, {3, 5}), b(DType::f32, {5, 7}), c(DType::f32, {3, 7});
  Stream stream(Device{});
  OpProfile profile;
  ops::matmul({.c = c, .a = a, .b = b}, stream.ref());  // not observed yet
  stream.observe(&profile);
  ops::matmul({.c = c, .a = a, .b = b}, stream.ref());
  ops::matmul({.c = c, .a = a, .b = b, .accumulate = true}, stream.ref());
  ops::add({.out = c, .a = c, .b = c}, stream.ref());
  stream.observe(nullptr);
  ops::add({.out = c, .a = c, .b = c}, stream.ref());

  std::vector<OpTotal> totals = profile.totals();
  ASSERT_EQ(totals.size(), 2U);
  EXPECT_GE(totals[0].seconds, totals[1].seconds);
  if (totals[0].name != "matmul") std::swap(totals[0], totals[1]);
  EXPECT_EQ(totals[0].name, "matmul");
  EXPECT_EQ(totals[0].calls, 2);
  EXPECT_EQ(totals[0].flops, 2 * 2 * 3 * 5 * 7);
  EXPECT_EQ(totals[0].bytes, 4 * (2 * (15 + 35) + 21 + 2 * 21));  // accumulated: c is read as well
  EXPECT_EQ(totals[1].name, "add");
  EXPECT_EQ(totals[1].calls, 1);
  EXPECT_EQ(totals[1].flops, 0);
  EXPECT_EQ(totals[1].bytes, 4 * 3 * 21);
}

TEST(MachineCeilings, AreRatesOfSomeMachine) {
  const MachineCeilings ceilings = measure_ceilings({});
  EXPECT_GT(ceilings.flops_per_second, 1e8);
  EXPECT_GT(ceilings.bytes_per_second, 1e8);
  EXPECT_LT(ceilings.flops_per_second, 1e15);
  EXPECT_LT(ceilings.bytes_per_second, 1e14);
}

TEST(MachineCeilings, TheBetterOfTwoMeasurementsCounts) {
  const MachineCeilings best = best_of({1, 20}, {10, 2});
  EXPECT_EQ(best.flops_per_second, 10);
  EXPECT_EQ(best.bytes_per_second, 20);
}

TEST(MachineCeilings, AreLowWhenAnOpWasFaster) {
  const MachineCeilings ceilings{.flops_per_second = 100, .bytes_per_second = 1};
  const OpTotal sound{
      .name = "matmul", .calls = 1, .seconds = 2, .flops = 200, .bytes = 1e9};  // bytes may be a cache's
  const OpTotal faster{.name = "matmul", .calls = 1, .seconds = 2, .flops = 220, .bytes = 1};
  EXPECT_FALSE(ceiling_is_low({sound}, ceilings));
  EXPECT_TRUE(ceiling_is_low({sound, faster}, ceilings));
}

}  // namespace
}  // namespace timetrial
