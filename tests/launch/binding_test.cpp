// Cores of a made-up host with two memory nodes of four cores each, dealt out to ranks.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/launch/binding.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

#include "timetrial/base/error.h"

namespace timetrial::launch {
namespace {

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

// Two packages of four cores with two threads each, and four GPUs beside each package; hardware threads 0-3 and 8-11
// are the first one's.
const std::string kTwoPackages = std::string(TIMETRIAL_SOURCE_DIR) + "/tests/launch/two_by_four.xml";
const std::vector<std::string> kFirst = {"0000:1b:00.0", "0000:3a:00.0", "0000:4c:00.0", "0000:5d:00.0"};
const std::vector<std::string> kSecond = {"0000:9b:00.0", "0000:BA:00.0", "0000:cb:00.0", "0000:db:00.0"};

std::vector<std::string> joined(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(ShareOutCoresBeside, PutsEveryRankBesideItsDevice) {
  EXPECT_EQ(share_out_cores_beside(joined(kFirst, kSecond), kTwoPackages),
            (Shares{{0, 8}, {1, 9}, {2, 10}, {3, 11}, {4, 12}, {5, 13}, {6, 14}, {7, 15}}));
  EXPECT_EQ(share_out_cores_beside(joined(kSecond, kFirst), kTwoPackages),
            (Shares{{4, 12}, {5, 13}, {6, 14}, {7, 15}, {0, 8}, {1, 9}, {2, 10}, {3, 11}}));
}

// Two ranks whose devices are beside the same package share it, and leave the other one's cores alone.
TEST(ShareOutCoresBeside, SharesANodeAmongItsOwnRanks) {
  EXPECT_EQ(share_out_cores_beside({kSecond[0], kSecond[1]}, kTwoPackages), (Shares{{4, 12, 5, 13}, {6, 14, 7, 15}}));
  EXPECT_EQ(share_out_cores_beside({kFirst[0], kSecond[3], kFirst[1]}, kTwoPackages),
            (Shares{{0, 8, 1, 9}, {4, 12, 5, 13, 6, 14, 7, 15}, {2, 10, 3, 11}}));
}

TEST(ShareOutCoresBeside, FallsBackToTheOrderOfNodes) {
  EXPECT_EQ(share_out_cores_beside({kSecond[0], "0000:77:00.0"}, kTwoPackages),
            (Shares{{0, 8, 1, 9, 2, 10, 3, 11}, {4, 12, 5, 13, 6, 14, 7, 15}}));
  EXPECT_THROW(share_out_cores_beside(kFirst, "/nowhere.xml"), UserError);
}

TEST(OwnPlace, IsWhereThisThreadMayRun) {
  std::thread([] {
    const int unit = share_out_cores(1).front().back();
    bind_to({unit});
    EXPECT_TRUE(own_place().starts_with("hardware threads " + std::to_string(unit) + ", memory node ")) << own_place();
  }).join();
}

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
