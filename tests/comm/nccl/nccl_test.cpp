// The communicator suite over NCCL on processes that meet through the control plane, several on one GPU where there are
// more of them than devices. SPDX-License-Identifier: Apache-2.0
#include "timetrial/comm/nccl.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "comm/processes/process_suite.h"
#include "timetrial/comm/controlled_bootstrap.h"
#include "timetrial/config/environment.h"

namespace {

constexpr int kSkipped = 77;

}  // namespace

timetrial::testing::ProcessRank& timetrial::testing::this_rank() {
  static comm::ControlledBootstrap bootstrap(nullptr, read_environment(), {.init = 120, .call = 60});
  static const Device device{.kind = DeviceKind::cuda,
                             .index = bootstrap.local_rank() % device_count(DeviceKind::cuda)};
  // Also for one rank, which a run would not ask NCCL for.
  static ProcessRank rank{.bootstrap = &bootstrap, .device = device, .make_world = [] {
                            return comm::make_nccl_world(bootstrap, device, {.init = 120, .call = 60});
                          }};
  return rank;
}

int main(int argc, char** argv) {
  using namespace timetrial;
  ::testing::InitGoogleTest(&argc, argv);
  if (device_count(DeviceKind::cuda) == 0) {
    const char* required = std::getenv("TIMETRIAL_REQUIRE_CUDA");
    const bool fails = required != nullptr && std::string_view(required) == "1";
    std::printf("%s: no CUDA device\n", fails ? "failed" : "skipped");
    return fails ? 1 : kSkipped;
  }
  return RUN_ALL_TESTS();
}
