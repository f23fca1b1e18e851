// How the deadline of a collective follows from the steps before it.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/step_deadline.h"

#include <gtest/gtest.h>

namespace timetrial {
namespace {

TEST(StepDeadline, IsTheInitDeadlineBeforeTheFirstStep) {
  EXPECT_EQ(StepDeadline({.init_deadline = 600, .step_deadline = 30}).seconds(), 600);
}

TEST(StepDeadline, IsFiveMedianStepsButNoLessThanTheLeast) {
  StepDeadline deadline({.init_deadline = 600, .step_deadline = 30});
  deadline.add(1);
  EXPECT_EQ(deadline.seconds(), 30);
  for (const double seconds : {10.0, 20.0, 1000.0, 12.0}) deadline.add(seconds);  // median of five: 12
  EXPECT_EQ(deadline.seconds(), 60);
}

TEST(StepDeadline, ForgetsStepsOutsideItsWindow) {
  StepDeadline deadline({.init_deadline = 600, .step_deadline = 1});
  for (size_t i = 0; i < StepDeadline::kWindow; ++i) deadline.add(100);
  EXPECT_EQ(deadline.seconds(), 500);
  for (size_t i = 0; i < StepDeadline::kWindow; ++i) deadline.add(2);
  EXPECT_EQ(deadline.seconds(), 10);
}

}  // namespace
}  // namespace timetrial
