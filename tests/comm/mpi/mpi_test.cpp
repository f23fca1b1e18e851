// The communicator suite on processes that mpirun started; ctest runs this program once per number of ranks. Each rank
// is one process and runs every test. SPDX-License-Identifier: Apache-2.0
#include "timetrial/comm/mpi.h"

#include <gtest/gtest.h>

#include "comm/suite.h"

namespace timetrial::testing {
namespace {

comm::Bootstrap* bootstrap = nullptr;  // MPI starts once per process

void each(const std::function<void(const Party&)>& body) {
  const auto world = bootstrap->make_world({}, {});
  EXPECT_EQ(world->rank(), bootstrap->rank());
  EXPECT_EQ(world->size(), bootstrap->size());
  body({.world = *world, .stream = {}});
}

TEST(Mpi, AllReduce) { each(check_all_reduce); }
TEST(Mpi, ReduceScatter) {
  each([](const Party& p) { check_reduce_scatter(p, false); });
}
TEST(Mpi, ReduceScatterInPlace) {
  each([](const Party& p) { check_reduce_scatter(p, true); });
}
TEST(Mpi, AllGather) {
  each([](const Party& p) { check_all_gather(p, false); });
}
TEST(Mpi, AllGatherInPlace) {
  each([](const Party& p) { check_all_gather(p, true); });
}
TEST(Mpi, Broadcast) { each(check_broadcast); }
TEST(Mpi, UnevenAllToAll) { each(check_all_to_all); }
TEST(Mpi, Split) { each(check_split); }
TEST(Mpi, SameBitsOnEveryRank) { each(check_same_bits); }

TEST(Mpi, RanksOfThisHost) {
  EXPECT_EQ(bootstrap->local_size(), bootstrap->size());  // all were started here
  EXPECT_EQ(bootstrap->local_rank(), bootstrap->rank());
}

TEST(Mpi, TextsArriveInRankOrder) {
  const std::vector<std::string> all = bootstrap->all_gather(std::string(static_cast<size_t>(bootstrap->rank()), 'x'));
  ASSERT_EQ(all.size(), static_cast<size_t>(bootstrap->size()));
  for (size_t rank = 0; rank < all.size(); ++rank) EXPECT_EQ(all[rank], std::string(rank, 'x'));
}

}  // namespace
}  // namespace timetrial::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const auto bootstrap = timetrial::comm::make_mpi_bootstrap();
  timetrial::testing::bootstrap = bootstrap.get();
  return RUN_ALL_TESTS();
}
