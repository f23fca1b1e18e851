// The estimate to target, from evaluations that follow a known curve.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "timetrial/train/reporter.h"

namespace timetrial {
namespace {

TEST(TargetEstimate, FollowsAStraightLineOverTheLogarithm) {
  TargetEstimate estimate(3.0);
  EXPECT_FALSE(estimate.samples_to_target());
  estimate.add(1000, 7 - 0.5 * std::log(1000.0));
  EXPECT_FALSE(estimate.samples_to_target());
  estimate.add(2000, 7 - 0.5 * std::log(2000.0));
  ASSERT_TRUE(estimate.samples_to_target());
  EXPECT_NEAR(*estimate.samples_to_target(), std::exp(8.0), 1e-6 * std::exp(8.0));  // 7 - 0.5 ln s = 3
}

TEST(TargetEstimate, SaysNothingWithoutProgress) {
  TargetEstimate estimate(3.0);
  estimate.add(1000, 5.0);
  estimate.add(2000, 5.1);
  EXPECT_FALSE(estimate.samples_to_target());
  estimate.add(3000, std::nan(""));
  EXPECT_FALSE(estimate.samples_to_target());
  estimate.add(4000, 2.9);  // reached: nothing to estimate
  EXPECT_FALSE(estimate.samples_to_target());
}

}  // namespace
}  // namespace timetrial
