// The communicator suite on ranks that are processes of one host; each runs every test.
// SPDX-License-Identifier: Apache-2.0
#include "comm/processes/process_suite.h"

#include <gtest/gtest.h>

#include "comm/suite.h"

namespace timetrial::testing {
namespace {

void each(const std::function<void(const Party&)>& body) {
  const auto world = this_rank().make_world();
  EXPECT_EQ(world->rank(), this_rank().bootstrap->rank());
  EXPECT_EQ(world->size(), this_rank().bootstrap->size());
  const Stream stream(this_rank().device);
  body({.world = *world, .stream = stream.ref()});
}

TEST(Processes, AllReduce) { each(check_all_reduce); }
TEST(Processes, ReduceScatter) {
  each([](const Party& p) { check_reduce_scatter(p, false); });
}
TEST(Processes, ReduceScatterInPlace) {
  each([](const Party& p) { check_reduce_scatter(p, true); });
}
TEST(Processes, AllGather) {
  each([](const Party& p) { check_all_gather(p, false); });
}
TEST(Processes, AllGatherInPlace) {
  each([](const Party& p) { check_all_gather(p, true); });
}
TEST(Processes, Broadcast) { each(check_broadcast); }
TEST(Processes, UnevenAllToAll) { each(check_all_to_all); }
TEST(Processes, Split) { each(check_split); }
TEST(Processes, SameBitsOnEveryRank) { each(check_same_bits); }

TEST(Processes, RanksOfThisHost) {
  EXPECT_EQ(this_rank().bootstrap->local_size(), this_rank().bootstrap->size());  // all were started here
  EXPECT_EQ(this_rank().bootstrap->local_rank(), this_rank().bootstrap->rank());
}

TEST(Processes, TextsArriveInRankOrder) {
  const std::vector<std::string> all =
      this_rank().bootstrap->all_gather(std::string(static_cast<size_t>(this_rank().bootstrap->rank()), 'x'));
  ASSERT_EQ(all.size(), static_cast<size_t>(this_rank().bootstrap->size()));
  for (size_t rank = 0; rank < all.size(); ++rank) EXPECT_EQ(all[rank], std::string(rank, 'x'));
}

}  // namespace
}  // namespace timetrial::testing
