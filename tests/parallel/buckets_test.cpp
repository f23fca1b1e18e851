// Buckets: where they are cut, when they are told complete; and the lane their collectives run on.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/parallel/buckets.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

#include "timetrial/parallel/comm_lane.h"

namespace timetrial {
namespace {

ParameterList five_parameters() {
  ParameterList list;
  list.add({.name = "embedding", .shape = {300}, .uses = 2});
  list.add({.name = "expert", .shape = {200}, .reduce = ReduceGroup::expert});
  list.add({.name = "norm", .shape = {10}});
  list.add({.name = "matrix", .shape = {500}});
  list.add({.name = "head", .shape = {100}});
  return list;
}

TEST(Buckets, AreCutInReverseOrderAndPaddedForEveryShard) {
  const ParameterList list = five_parameters();
  const auto sizes = bucket_sizes(list, {.count = 3, .bucket_elements = 400});
  ASSERT_EQ(sizes.size(), 3U);  // head + matrix, norm + embedding, expert
  EXPECT_EQ(sizes[0].elements, 768);
  EXPECT_EQ(sizes[1].elements, 384);
  EXPECT_EQ(sizes[2].elements, 384);
  EXPECT_EQ(sizes[2].reduce, ReduceGroup::expert);
  EXPECT_EQ(bucket_sizes(list, {.count = 1, .bucket_elements = 400}).size(), 2U);  // one per reduce group
  const ParameterStore store(list, DType::f32, {}, {.index = 1, .count = 3, .bucket_elements = 400});
  ASSERT_EQ(store.groups().size(), 3U);
  for (size_t bucket = 0; bucket < 3; ++bucket)
    EXPECT_EQ(store.groups()[bucket].gradients.elements(), sizes[bucket].elements);
  EXPECT_EQ(store.groups()[1].first_parameter, 0);
}

TEST(Buckets, AreToldCompleteOnceWithTheLastContribution) {
  ParameterStore store(five_parameters(), DType::f32, {}, {.count = 2, .bucket_elements = 400});
  std::vector<size_t> told;
  store.watch({.filled = [&](size_t bucket) { told.push_back(bucket); }, .needed = {}});
  for (int step = 0; step < 2; ++step) {
    told.clear();
    store.expect(2);
    for (int micro = 0; micro < 2; ++micro) {
      store.grad_ready({4});
      store.grad_ready({3});
      EXPECT_EQ(told, micro == 0 ? std::vector<size_t>{} : std::vector<size_t>{0});
      store.grad_ready({0});
      store.grad_ready({2});
      store.grad_ready({1});
      // The tied embedding is used once more.
      EXPECT_EQ(told, micro == 0 ? std::vector<size_t>{} : (std::vector<size_t>{0, 2}));
      store.grad_ready({0});
    }
    EXPECT_EQ(told, (std::vector<size_t>{0, 2, 1}));
    store.check_all_ready(2);
  }
}

TEST(Buckets, AreAskedForBeforeAWeightIsRead) {
  ParameterStore store(five_parameters(), DType::f32, {}, {.count = 2, .bucket_elements = 400});
  std::vector<size_t> asked;
  store.watch({.filled = {}, .needed = [&](size_t bucket) { asked.push_back(bucket); }});
  store.weight({1});
  store.weight({3});
  EXPECT_EQ(asked, (std::vector<size_t>{2, 0}));
}

TEST(CommLane, WorksInOrderBesideTheCaller) {
  CommLane lane{Device(), 8};
  std::vector<int> order;
  std::atomic<int> done{0};
  std::vector<CommLane::Ticket> tickets;
  for (int i = 0; i < 100; ++i) {
    tickets.push_back(lane.give(
        [&, i](StreamRef) {
          if (i == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
          order.push_back(i);
          ++done;
        },
        {}));
  }
  EXPECT_FALSE(lane.idle());
  lane.await(tickets[50], {});
  EXPECT_GE(done, 51);
  lane.await(tickets.back(), {});
  std::vector<int> expected(100);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(order, expected);
  EXPECT_TRUE(lane.idle());
}

TEST(CommLane, CountsTheTimeItWasWaitedFor) {
  CommLane lane{Device(), 8};
  const auto work = [](StreamRef) { std::this_thread::sleep_for(std::chrono::milliseconds(200)); };
  lane.await(lane.give(work, {}), {});
  const CommLane::Times waited = lane.times();
  EXPECT_GE(waited.busy, 0.2);
  EXPECT_GT(waited.waited, 0);
  const auto ticket = lane.give(work, {});
  while (!lane.idle()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  lane.await(ticket, {});
  EXPECT_GE(lane.times().busy, 0.4);
  EXPECT_EQ(lane.times().waited, waited.waited);  // it was done before
}

TEST(CommLane, AnErrorReachesWhoeverWaitsAndDropsTheRest) {
  CommLane lane{Device(), 8};
  bool ran = false;
  const auto failed = lane.give([](StreamRef) { throw UserError("gone"); }, {});
  const auto later = lane.give([&ran](StreamRef) { ran = true; }, {});
  EXPECT_THROW(lane.await(failed, {}), UserError);
  EXPECT_THROW(lane.await(later, {}), UserError);
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace timetrial
