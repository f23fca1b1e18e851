// Cores of a made-up host with two memory nodes of four cores each, dealt out to ranks.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/launch/binding.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

#include "timetrial/base/error.h"

namespace timetrial::launch {
namespace {

using Shares = std::vector<std::vector<int>>;
constexpr const char* kTwoByFour = "numa:2 core:4 pu:1";

TEST(ShareOutCores, FillsMemoryNodesInOrder) {
  EXPECT_EQ(share_out_cores(1, kTwoByFour), (Shares{{0, 1, 2, 3, 4, 5, 6, 7}}));
  EXPECT_EQ(share_out_cores(2, kTwoByFour), (Shares{{0, 1, 2, 3}, {4, 5, 6, 7}}));
  EXPECT_EQ(share_out_cores(8, kTwoByFour), (Shares{{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}}));
}

TEST(ShareOutCores, KeepsCoresWholeAndDisjoint) {
  EXPECT_EQ(share_out_cores(3, kTwoByFour), (Shares{{0, 1}, {2, 3, 4}, {5, 6, 7}}));
  EXPECT_EQ(share_out_cores(4, "numa:2 core:2 pu:2"), (Shares{{0, 1}, {2, 3}, {4, 5}, {6, 7}}));
}

// Both threads of a core and the cores of a node stay together however the operating system numbers them.
TEST(ShareOutCores, FollowsTheMachineNotTheNumbers) {
  EXPECT_EQ(share_out_cores(2, "numa:2 core:2 pu:2(indexes=0,4,1,5,2,6,3,7)"), (Shares{{0, 4, 1, 5}, {2, 6, 3, 7}}));
}

TEST(ShareOutCores, SharesACoreWhenThereAreMoreRanks) {
  const Shares shares = share_out_cores(16, kTwoByFour);
  for (size_t rank = 0; rank < 16; ++rank) EXPECT_EQ(shares[rank], (std::vector<int>{static_cast<int>(rank) / 2}));
}

TEST(ShareOutCores, RefusesAMachineThatIsNone) { EXPECT_THROW(share_out_cores(1, "two sockets"), UserError); }

TEST(BindTo, KeepsAThreadOfThisMachineToItsShare) {
  std::thread([] {
    const std::vector<int> share = share_out_cores(1).front();
    ASSERT_FALSE(share.empty());
    bind_to({share.back()});
    cpu_set_t set;
    CPU_ZERO(&set);
    ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    EXPECT_EQ(CPU_COUNT(&set), 1);
    EXPECT_TRUE(CPU_ISSET(static_cast<size_t>(share.back()), &set));
  }).join();
}

}  // namespace
}  // namespace timetrial::launch
