// A signal that reached one rank alone, as the others see it. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <csignal>

#include "ranks/worlds.h"
#include "timetrial/comm/thread_ranks.h"
#include "timetrial/train/trainer.h"
#include "workloads/gpt_oss_20b/workload.h"

namespace timetrial::testing {
namespace {

TEST(Signals, ReachEveryRankByNumber) {
  const RunConfig config = tiny_config("gpt_oss_20b", DType::f32, 3);
  std::vector<int> agreed(3);
  comm::run_thread_ranks(3, [&](comm::Bootstrap& bootstrap) {
    ProcessMesh mesh(config.parallel, bootstrap.make_world({}, {.init = 60, .call = 60}));
    const auto model = gpt_oss_20b::make_workload()->make_model(config, {});
    Executor executor(*model, config, {}, &mesh);
    const std::atomic<int> mine = bootstrap.rank() == 2 ? SIGTERM : 0;
    agreed[static_cast<size_t>(bootstrap.rank())] = agreed_signal(executor, mine);
  });
  EXPECT_EQ(agreed, std::vector<int>(3, SIGTERM));
}

}  // namespace
}  // namespace timetrial::testing
