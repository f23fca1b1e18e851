// Many ranks with a GPU each do what one does, and none waits for more than it asked for.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "fixtures/emulated_devices.h"
#include "ranks/worlds.h"
#include "timetrial/comm/thread_ranks.h"
#include "timetrial/device/use_device.h"

namespace timetrial::testing {
namespace {

RunConfig on_gpus(RunConfig config) {
  config.device.kind = DeviceKind::cuda;
  config.cluster.bucket_bytes = 10000;  // some buckets; emulated memory is slow where it is in many pieces
  return config;
}

class CudaRanks : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    emulate_devices(kRanks);
    if (device_count(DeviceKind::cuda) >= kRanks) return;
    const char* required = std::getenv("TIMETRIAL_REQUIRE_CUDA");
    if (required != nullptr && std::string(required) == "1" && device_count(DeviceKind::cuda) == 0)
      FAIL() << "a GPU is required";
    GTEST_SKIP() << "needs " << kRanks << " GPUs";
  }
  static constexpr int kRanks = 2;
};

TEST_P(CudaRanks, EqualOneRankOnTheCpu) {
  const Trace one = traces(tiny_config(GetParam(), DType::f32, 1)).front();
  const std::vector<Trace> many = traces(on_gpus(tiny_config(GetParam(), DType::f32, kRanks)));
  for (size_t rank = 0; rank < many.size(); ++rank) {
    EXPECT_EQ(differences(one, many[rank], 1e-4), std::vector<std::string>{}) << "rank " << rank;
    EXPECT_EQ(many[rank].weights, many.front().weights) << "rank " << rank << " holds other weights";
  }
}

// Step 1 is queued on rank 0 alone when it asks for step 0, as in training, where the results of a step are taken while
// the next one runs.
TEST_P(CudaRanks, AStepsResultDoesNotWaitForTheNextStep) {
  const RunConfig config = on_gpus(tiny_config(GetParam(), DType::f32, kRanks));
  std::atomic<bool> has_it{false};
  comm::run_thread_ranks(kRanks, [&](comm::Bootstrap& bootstrap) {
    const Device device = device_of(config, bootstrap.rank());
    use_device(device);
    ProcessMesh mesh(config.parallel, bootstrap.make_world(device, {.init = 60, .call = 60}));
    const auto model = workload_of_name(GetParam())->make_model(config, device);
    Executor executor(*model, config, device, &mesh);
    executor.initialize(7);
    const HostBatch batch = random_rows(config, kGlobalBatch / kRanks, 1);
    const Executor::Ticket first = executor.train_step(batch, 0.001, 0);
    if (bootstrap.rank() == 1)
      while (!has_it) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const Executor::Ticket second = executor.train_step(batch, 0.001, 1);
    EXPECT_GT(executor.result(first).loss, 0);
    has_it = true;
    EXPECT_GT(executor.result(second).loss, 0);
  });
}

INSTANTIATE_TEST_SUITE_P(Workloads, CudaRanks, ::testing::Values("gpt_oss_20b", "llama31_405b", "deepseekv3_671b"),
                         [](const auto& made) { return fmt::format("{}_cuda", made.param); });

}  // namespace
}  // namespace timetrial::testing
