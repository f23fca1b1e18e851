// The watch against a driver library of our own: what goes into the log when, and what the last line says.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/device_watch.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "device/fake_nvml.h"
#include "timetrial/base/clock.h"

namespace timetrial {
namespace {

class CountingReporter : public Reporter {
 public:
  explicit CountingReporter(int& steps) : steps_(steps) {}
  void stage(const char*) override {}
  void step(const StepReport&) override { ++steps_; }
  void evaluation(const EvaluationReport&) override {}

 private:
  int& steps_;
};

class Watch : public ::testing::Test {
 protected:
  void SetUp() override {
    library_ = dlopen(TIMETRIAL_FAKE_NVML, RTLD_NOW);
    ASSERT_NE(library_, nullptr) << dlerror();
    fake_ = static_cast<FakeNvml*>(dlsym(library_, "fake_nvml"));
    *fake_ = {};
    folder_ = std::filesystem::temp_directory_path() / ("timetrial-watch-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
    config_.output.folder = folder_;
    sensors_ = DeviceSensors::open("0000:1b:00.0", TIMETRIAL_FAKE_NVML).sensors;
    ASSERT_TRUE(sensors_);
    log_ = std::make_unique<RunLog>(config_);
    log_->init_start(false, unix_milliseconds());
  }
  void TearDown() override {
    log_.reset();
    sensors_.reset();
    dlclose(library_);
    std::filesystem::remove_all(folder_);
  }
  DeviceWatch watch(double interval = 0) {
    return DeviceWatch(*sensors_, *log_, std::make_unique<CountingReporter>(steps_), interval);
  }
  // Lines of the log that hold `text`.
  int logged(const std::string& text) {
    log_->flush();
    std::ifstream file(log_->path());
    int count = 0;
    for (std::string line; std::getline(file, line);) count += line.find(text) != std::string::npos ? 1 : 0;
    return count;
  }

  void* library_ = nullptr;
  FakeNvml* fake_ = nullptr;
  std::filesystem::path folder_;
  RunConfig config_;
  std::unique_ptr<DeviceSensors> sensors_;
  std::unique_ptr<RunLog> log_;
  int steps_ = 0;
};

TEST_F(Watch, IsQuietAboutAnUndisturbedGpu) {
  DeviceWatch quiet = watch();
  EXPECT_EQ(quiet.summary(), "");
  for (int i = 0; i < 3; ++i) quiet.step({});
  EXPECT_EQ(steps_, 3);
  EXPECT_FALSE(quiet.disturbed());
  EXPECT_EQ(quiet.summary(), "512 W, 61 C, 1650 MHz at the last look");
  EXPECT_EQ(logged("timetrial_warning"), 0);
}

TEST_F(Watch, SaysOnceWhatSlowsTheGpu) {
  DeviceWatch slowed = watch();
  slowed.step({});
  fake_->reasons = 0x4;
  slowed.step({});
  slowed.step({});
  fake_->reasons = 0x4 | 0x40;
  slowed.step({});
  fake_->reasons = 0;
  slowed.step({});
  EXPECT_TRUE(slowed.disturbed());
  EXPECT_EQ(logged("the GPU is throttled: power cap"), 1);
  EXPECT_EQ(logged("the GPU is throttled: thermal slowdown (hardware)"), 1);
  EXPECT_EQ(slowed.summary().find("GPU throttled in 3 of 5 looks (power cap 3, thermal slowdown (hardware) 1); 512 W"),
            0U)
      << slowed.summary();
}

TEST_F(Watch, SaysWhoElseIsThere) {
  DeviceWatch shared = watch();
  fake_->processes = 2;
  shared.step({});
  fake_->processes = 1;
  shared.step({});
  EXPECT_TRUE(shared.disturbed());
  EXPECT_EQ(logged("the GPU is shared: 1 other process\""), 1);
  EXPECT_EQ(shared.summary().find("GPU shared with 1 other process; 512 W"), 0U) << shared.summary();
}

TEST_F(Watch, LooksNoMoreOftenThanAsked) {
  DeviceWatch slow = watch(3600);
  slow.step({});
  fake_->reasons = 0x80;
  slow.step({});
  EXPECT_FALSE(slow.disturbed());
  EXPECT_EQ(steps_, 2);
}

TEST_F(Watch, FactsOfTheGpuStandInTheLog) {
  log_->device(sensors_->identity(), "");
  EXPECT_EQ(logged("\"name\": \"NVIDIA H100 80GB HBM3\""), 1);
  EXPECT_EQ(logged("\"compute_capability\": \"9.0\""), 1);
  EXPECT_EQ(logged("timetrial_warning"), 0);
  log_->device({}, "no driver library");
  EXPECT_EQ(logged("no driver library"), 1);
}

}  // namespace
}  // namespace timetrial
