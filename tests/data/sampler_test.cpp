// Samplers and blending against the spec's vectors and by what they must cover.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/data/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "data/token_files.h"
#include "timetrial/base/error.h"
#include "timetrial/data/blend.h"
#include "timetrial/data/numpy_random.h"

namespace timetrial {
namespace {

using Items = std::vector<int64_t>;

Items step_of(const SamplerSpec& spec, int64_t step) {
  Sampler sampler(spec);
  Items items;
  for (int64_t m = 0; m < sampler.micro_batches(); ++m) sampler.append(step, m, items);
  return items;
}

TEST(Sampler, SingleGivesRanksConsecutiveMicroBatches) {
  const SamplerSpec rank1{.items = 100, .global_batch = 12, .micro_batch = 2, .dp_rank = 1, .dp_size = 3};
  EXPECT_EQ(step_of(rank1, 0), (Items{2, 3, 8, 9}));
  EXPECT_EQ(step_of(rank1, 2), (Items{26, 27, 32, 33}));
  EXPECT_EQ(Sampler(rank1).steps(), 8);
}

TEST(Sampler, SingleCoversTheGlobalBatchAtAnyDegree) {
  for (const int dp : {1, 2, 3, 4, 6}) {
    Items all;
    for (int rank = 0; rank < dp; ++rank) {
      const Items own = step_of({.items = 48, .global_batch = 24, .micro_batch = 2, .dp_rank = rank, .dp_size = dp}, 1);
      all.insert(all.end(), own.begin(), own.end());
    }
    std::sort(all.begin(), all.end());
    Items expected;
    for (int64_t i = 24; i < 48; ++i) expected.push_back(i);
    EXPECT_EQ(all, expected) << dp;
  }
}

// 43 items, micro batch 2, 2 ranks: buckets of 20. Pass e permutes with torch.randperm seeded e.
TEST(Sampler, CyclicPermutesEachRanksBucketPerPass) {
  for (int rank = 0; rank < 2; ++rank) {
    const SamplerSpec spec{
        .kind = SamplerKind::cyclic, .items = 43, .global_batch = 4, .micro_batch = 2, .dp_rank = rank, .dp_size = 2};
    Sampler sampler(spec);
    EXPECT_EQ(sampler.steps(), 10);
    Items items;
    for (int64_t step = 0; step < 20; ++step) sampler.append(step, 0, items);
    for (const uint32_t pass : {0u, 1u}) {
      const std::vector<uint32_t> permutation = torch_randperm(20, pass);
      for (size_t j = 0; j < 20; ++j) EXPECT_EQ(items[pass * 20 + j], rank * 20 + permutation[j]) << pass << " " << j;
    }
  }
}

// Seed 0 of the spec's vector: 4 1 7 5 3 9 0 8 6 2.
TEST(Sampler, CyclicVector) {
  const SamplerSpec spec{
      .kind = SamplerKind::cyclic, .items = 21, .global_batch = 10, .micro_batch = 5, .dp_rank = 1, .dp_size = 2};
  EXPECT_EQ(step_of(spec, 0), (Items{14, 11, 17, 15, 13}));
  EXPECT_EQ(step_of(spec, 1), (Items{19, 10, 18, 16, 12}));
}

TEST(Sampler, RefusesWhatDoesNotDivide) {
  const std::string line = testing::message_of<UserError>(
      [] { Sampler({.items = 100, .global_batch = 10, .micro_batch = 2, .dp_rank = 0, .dp_size = 3}); });
  EXPECT_TRUE(testing::contains(line, "10 rows is not a multiple of micro batch 2 x 3"));
  const std::string few =
      testing::message_of<UserError>([] { Sampler({.items = 7, .global_batch = 8, .micro_batch = 8}); });
  EXPECT_TRUE(testing::contains(few, "7 samples, one step needs 8"));
}

// workloads.md section 15.4.
TEST(Blend, TwoEqualWeightsAlternate) {
  const Blend blend({50, 50}, 6);
  const std::vector<BlendItem> expected{{0, 0}, {1, 0}, {0, 1}, {1, 1}, {0, 2}, {1, 2}};
  for (int64_t i = 0; i < 6; ++i) EXPECT_TRUE(blend.item(i) == expected[static_cast<size_t>(i)]) << i;
}

TEST(Blend, FollowsTheWeightsAndCountsItemsUp) {
  const Blend blend({1, 2, 5}, 8000);
  int64_t counts[3] = {};
  for (int64_t i = 0; i < blend.size(); ++i) {
    const BlendItem at = blend.item(i);
    EXPECT_EQ(at.item, counts[at.dataset]++);
  }
  EXPECT_NEAR(static_cast<double>(counts[0]), 1000, 1);
  EXPECT_NEAR(static_cast<double>(counts[1]), 2000, 1);
  EXPECT_NEAR(static_cast<double>(counts[2]), 5000, 1);
}

TEST(Blend, AsksForHalfAPercentMore) {
  EXPECT_EQ(Blend({1, 1}, 1001).requested(0), 504);  // ceil(ceil(500.5) * 1.005) = ceil(503.505)
  EXPECT_THROW(Blend({1, -1}, 5), UserError);
  EXPECT_THROW(Blend({}, 5), UserError);
}

}  // namespace
}  // namespace timetrial
