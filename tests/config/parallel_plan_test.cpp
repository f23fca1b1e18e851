// Coordinates and groups of ranks, and the rules between axes, model and hosts.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/parallel_plan.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>
#include <vector>

#include "config_fixture.h"

namespace timetrial {
namespace {

constexpr ParallelPlan kMixed{.data = 6, .tensor = 2, .pipeline = 3, .context = 2, .expert = 8};

std::map<int, std::vector<int>> groups(const ParallelPlan& plan, const std::function<int(int)>& colour) {
  std::map<int, std::vector<int>> all;
  for (int rank = 0; rank < plan.world_size(); ++rank) all[colour(rank)].push_back(rank);
  return all;
}

TEST(ParallelPlan, EveryRankHasOnePlace) {
  std::set<std::vector<int>> places, expert_places;
  for (int rank = 0; rank < kMixed.world_size(); ++rank) {
    const Coordinates at = coordinates_of(kMixed, rank);
    EXPECT_EQ(rank_of(kMixed, at), rank);
    EXPECT_LT(at.data, kMixed.data);
    EXPECT_LT(at.expert_data, kMixed.expert_data());
    places.insert({at.data, at.tensor, at.pipeline, at.context});
    expert_places.insert({at.pipeline, at.expert, at.expert_data});
  }
  EXPECT_EQ(places.size(), 72U);
  EXPECT_EQ(expert_places.size(), 72U);
}

TEST(ParallelPlan, NeighboursDifferInTensorFirst) {
  EXPECT_EQ(coordinates_of(kMixed, 0), Coordinates());
  EXPECT_EQ(coordinates_of(kMixed, 1), (Coordinates{.tensor = 1, .expert = 1}));
  EXPECT_EQ(coordinates_of(kMixed, 2), (Coordinates{.context = 1, .expert = 2}));
  EXPECT_EQ(coordinates_of(kMixed, 4), (Coordinates{.data = 1, .expert = 4}));
  EXPECT_EQ(coordinates_of(kMixed, 24), (Coordinates{.pipeline = 1}));
}

TEST(ParallelPlan, GroupsOfAnAxisHaveItsSizeAndDifferInItAlone) {
  const std::map<Axis, size_t> sizes = {
      {Axis::data, 12}, {Axis::tensor, 2}, {Axis::pipeline, 3}, {Axis::context, 2}, {Axis::expert, 8}};
  for (const auto& [axis, size] : sizes) {
    const Axis along = axis;
    for (const auto& [colour, ranks] : groups(kMixed, [&](int rank) { return colour_of(kMixed, along, rank); }))
      EXPECT_EQ(ranks.size(), size) << static_cast<int>(axis);
  }
  for (const auto& [colour, ranks] : groups(kMixed, [](int rank) { return expert_data_colour(kMixed, rank); })) {
    EXPECT_EQ(ranks.size(), 3U);
    for (const int rank : ranks)
      EXPECT_EQ(coordinates_of(kMixed, rank).expert, coordinates_of(kMixed, ranks.front()).expert);
  }
  for (const auto& [colour, ranks] : groups(kMixed, [](int rank) { return colour_of(kMixed, Axis::data, rank); })) {
    for (const int rank : ranks) {
      EXPECT_EQ(coordinates_of(kMixed, rank).tensor, coordinates_of(kMixed, ranks.front()).tensor);
      EXPECT_EQ(coordinates_of(kMixed, rank).pipeline, coordinates_of(kMixed, ranks.front()).pipeline);
    }
  }
}

TEST(ParallelPlan, TensorAndExpertGroupsStayInsideAHost) {
  const ParallelPlan plan{.data = 8, .tensor = 4, .pipeline = 2, .context = 1, .expert = 8};
  for (const Axis axis : {Axis::tensor, Axis::expert}) {
    for (const auto& [colour, ranks] : groups(plan, [&](int rank) { return colour_of(plan, axis, rank); }))
      EXPECT_EQ(ranks.front() / 8, ranks.back() / 8);
  }
}

TEST(ParallelPlan, RulesNameThePathBothNumbersAndAFix) {
  ModelShape shape = parse(user_config()).model;  // 8 heads, 4 key and value heads
  shape.heads = 8;
  shape.kv_heads = 4;
  shape.layers = 6;
  shape.vocabulary = 96;
  shape.vocabulary_multiple = 1;
  shape.experts = 16;
  shape.sequence_length = 24;
  const auto error = [&](const ParallelPlan& plan, int per_host) {
    return config_error([&] { validate(plan, shape, per_host); });
  };
  EXPECT_EQ(error({.data = 3, .tensor = 2, .pipeline = 5, .context = 3, .expert = 2}, 8), "no error");
  EXPECT_EQ(error({.tensor = 3}, 8), "/parallel/tp: 3 does not divide the 8 heads; use 2");
  EXPECT_EQ(error({.tensor = 8}, 8), "/parallel/tp: 8 does not divide the 4 key and value heads; use 4");
  EXPECT_EQ(error({.pipeline = 7}, 8), "/parallel/pp: 7 stages for 6 layers; use at most 6");
  EXPECT_EQ(error({.context = 5}, 8),
            "/parallel/cp: 5 ranks need two equal pieces each of a sequence of 24 tokens; use 4");
  EXPECT_EQ(error({.data = 3, .expert = 3}, 8), "/parallel/ep: 3 does not divide the 16 experts; use 2");
  EXPECT_EQ(error({.data = 6, .expert = 4}, 8),
            "/parallel/ep: 4 does not divide the 6 ranks of a pipeline stage (dp x tp x cp); use 3");
  EXPECT_EQ(error({.data = 4, .tensor = 4}, 6),
            "/parallel/tp: 4 does not divide the 6 ranks of a host, so tensor groups would cross hosts; use 2");
  EXPECT_EQ(error({.data = 16, .expert = 8}, 6),
            "/parallel/ep: 8 neither divides the 6 ranks of a host nor is a multiple of them; use 2");
  EXPECT_EQ(error({.data = 16, .expert = 16}, 8), "no error");  // two whole hosts
  shape.experts = 0;
  EXPECT_EQ(error({.data = 2, .expert = 2}, 8),
            "/parallel/ep: 2 expert-parallel ranks for a model without experts; use 1");
}

TEST(ParallelPlan, OnlyTheDataAxisTrains) {
  EXPECT_EQ(config_error([] { require_trainable({.data = 4096}); }), "no error");
  EXPECT_EQ(
      config_error([] { require_trainable({.data = 2, .tensor = 2}); }),
      "/parallel/tp: 2 ranks: this version trains along dp alone (timetrial plan shows the others); set parallel.tp "
      "to 1");
}

}  // namespace
}  // namespace timetrial
