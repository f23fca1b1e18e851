// Plan and stash: sizes, peaks, and every way of using memory that was not declared.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "timetrial/parallel/pass.h"

namespace timetrial {
namespace {

TEST(Plan, AddsKeptAndTakesPeaksOfScratchAndDeferred) {
  Plan plan(Mode::train);
  plan.keep({0}, DType::f32, {64});  // 256 bytes
  plan.keep({1}, DType::f32, {65});  // 512
  for (int64_t size : {64, 192, 128}) {
    Plan::Scope scope(plan);
    plan.temporary(DType::f32, {size});
  }
  plan.defer({2}, DType::f32, {64});
  plan.defer({3}, DType::f32, {64});
  plan.weights_done();
  plan.defer({4}, DType::f32, {64});
  EXPECT_EQ(plan.kept_bytes(), 768U);
  EXPECT_EQ(plan.scratch_bytes(), 768U);
  EXPECT_EQ(plan.deferred_bytes(), 512U);
  EXPECT_THROW(plan.keep({0}, DType::f32, {1}), Error);
  EXPECT_THROW(plan.keep({}, DType::f32, {1}), Error);
}

TEST(Plan, LibraryCallsShareTheLargestWorkspace) {
  Plan plan(Mode::train);
  EXPECT_EQ(plan.workspace_bytes(), 0U);
  plan.workspace(300);
  plan.workspace(1000);
  plan.workspace(20);
  EXPECT_EQ(plan.workspace_bytes(), 1024U);
  EXPECT_EQ(plan.scratch_bytes(), 0U);
}

TEST(Plan, EvaluationKeepsNothing) {
  Plan plan(Mode::evaluate);
  plan.keep({0}, DType::f32, {64});
  EXPECT_EQ(plan.kept_bytes(), 0U);
  EXPECT_EQ(plan.scratch_bytes(), 256U);
}

TEST(Stash, RefusesWhatThePlanDoesNotSay) {
  Plan plan(Mode::train);
  plan.keep({0}, DType::f32, {4});
  plan.keep({1}, DType::i32, {4});
  Stash stash(plan.kept(), {}, plan.kept_bytes());
  EXPECT_THROW(stash.saved({0}), Error);                  // nothing kept yet
  EXPECT_THROW(stash.keep({0}, DType::f32, {5}), Error);  // another shape
  EXPECT_THROW(stash.keep({1}, DType::f32, {4}), Error);  // another type
  EXPECT_THROW(stash.keep({2}, DType::f32, {4}), Error);  // not planned
  const Tensor first = stash.keep({0}, DType::f32, {4});
  EXPECT_THROW(stash.keep({0}, DType::f32, {4}), Error);  // twice
  EXPECT_EQ(stash.saved({0}).raw(), first.raw());
  EXPECT_NE(stash.keep({1}, DType::i32, {4}).raw(), first.raw());
  stash.release();
  EXPECT_THROW(stash.saved({0}), Error);
  EXPECT_EQ(stash.keep({0}, DType::f32, {4}).raw(), first.raw());  // fixed addresses
}

}  // namespace
}  // namespace timetrial
