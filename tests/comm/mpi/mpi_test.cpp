// The communicator suite on processes that mpirun started; ctest runs this program once per number of ranks.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/comm/mpi.h"

#include <gtest/gtest.h>

#include "comm/processes/process_suite.h"

timetrial::testing::ProcessRank& timetrial::testing::this_rank() {
  static const std::unique_ptr<comm::Bootstrap> bootstrap = comm::make_mpi_bootstrap();  // once per process
  static ProcessRank rank{
      .bootstrap = bootstrap.get(), .device = {}, .make_world = [] { return bootstrap->make_world({}, {}); }};
  return rank;
}

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
