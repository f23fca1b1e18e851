// Which device a rank takes, on emulated ones.
// SPDX-License-Identifier: Apache-2.0
#include "apps/compute_device.h"

#include <gtest/gtest.h>

#include "fixtures/emulated_devices.h"
#include "timetrial/base/error.h"

namespace timetrial::apps {
namespace {

TEST(ComputeDevice, OnTheCpuNobodyIsAsked) {
  const auto alone = comm::make_single_bootstrap();
  EXPECT_EQ(device_of(RunConfig(), *alone), Device{});
}

#if TIMETRIAL_EMULATED

// A rank of two on one host; the other one says that it has `other`, or the same.
class TwoRanks final : public comm::Bootstrap {
 public:
  TwoRanks(int rank, std::string other) : rank_(rank), other_(std::move(other)) {}
  int rank() const override { return rank_; }
  int size() const override { return 2; }
  int local_rank() const override { return rank_; }
  int local_size() const override { return 2; }
  std::vector<std::string> all_gather(const std::string& mine) override {
    const std::string theirs = other_.empty() ? mine : other_;
    return rank_ == 0 ? std::vector{mine, theirs} : std::vector{theirs, mine};
  }
  std::unique_ptr<comm::Communicator> make_world(Device, const comm::Deadlines&) override { return nullptr; }
  void abort(const std::string&) noexcept override {}

 private:
  int rank_;
  std::string other_;
};

RunConfig on_gpus() {
  RunConfig config;
  config.device.kind = DeviceKind::cuda;
  config.device.dtype = DType::f32;
  return config;
}

TEST(ComputeDevice, IsTheOneOfTheRanksNumber_cuda) {
  testing::emulate_devices(2);
  TwoRanks second(1, "host 0000:00:00.0");
  EXPECT_EQ(device_of(on_gpus(), second).index, 1);
}

TEST(ComputeDevice, IsTheOnlyOneThatTheRankIsShown_cuda) {
  testing::emulate_devices(1);
  TwoRanks second(1, "host 0000:1b:00.0");
  EXPECT_EQ(device_of(on_gpus(), second).index, 0);
}

TEST(ComputeDevice, IsNotSharedByTwoRanks_cuda) {
  testing::emulate_devices(1);
  TwoRanks second(1, "");
  try {
    device_of(on_gpus(), second);
    FAIL() << "two ranks on one device";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("ranks 0 and 1 would share one GPU"), std::string::npos) << error.what();
  }
}

#endif

}  // namespace
}  // namespace timetrial::apps
