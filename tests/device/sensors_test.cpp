// Sensors against a driver library of our own, and without one.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/device/sensors.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include "device/fake_nvml.h"
#include "fixtures/devices.h"

namespace timetrial {
namespace {

constexpr char kBusId[] = "0000:1b:00.0";

class Sensors : public ::testing::Test {
 protected:
  void SetUp() override {
    library_ = dlopen(TIMETRIAL_FAKE_NVML, RTLD_NOW);
    ASSERT_NE(library_, nullptr) << dlerror();
    fake_ = static_cast<FakeNvml*>(dlsym(library_, "fake_nvml"));
    ASSERT_NE(fake_, nullptr);
    *fake_ = {};
  }
  void TearDown() override { dlclose(library_); }
  static DeviceSensors::Opened open(const std::string& bus_id = kBusId) {
    return DeviceSensors::open(bus_id, TIMETRIAL_FAKE_NVML);
  }

  void* library_ = nullptr;
  FakeNvml* fake_ = nullptr;
};

TEST_F(Sensors, TellWhatTheDriverTells) {
  const auto opened = open();
  ASSERT_TRUE(opened.sensors) << opened.why_not;
  const DeviceIdentity identity = opened.sensors->identity();
  EXPECT_EQ(identity.name, "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(identity.driver, "580.65.06");
  EXPECT_EQ(identity.major * 10 + identity.minor, 90);
  EXPECT_EQ(identity.memory_bytes, 85520809984ULL);
  EXPECT_EQ(identity.ecc, true);
  EXPECT_EQ(identity.max_sm_clock, 1980);
  EXPECT_EQ(identity.max_memory_clock, 2619);
  EXPECT_EQ(identity.power_limit, 700.0);
  const DeviceState state = opened.sensors->state();
  EXPECT_EQ(state.sm_clock, 1650);
  EXPECT_EQ(state.memory_clock, 2619);
  EXPECT_DOUBLE_EQ(state.power.value(), 512.3);
  EXPECT_EQ(state.temperature, 61);
  EXPECT_TRUE(state.throttled_by.empty());
  EXPECT_EQ(state.processes, 1);
}

TEST_F(Sensors, NameEveryReasonButIdleness) {
  const auto opened = open();
  fake_->reasons = 0x1 | 0x100;  // idle, display
  EXPECT_TRUE(opened.sensors->state().throttled_by.empty());
  fake_->reasons = 0x4 | 0x40;
  EXPECT_EQ(opened.sensors->state().throttled_by,
            (std::vector<std::string>{"power cap", "thermal slowdown (hardware)"}));
  fake_->processes = 0;
  EXPECT_EQ(opened.sensors->state().processes, 0);
  fake_->processes = 3;
  EXPECT_EQ(opened.sensors->state().processes, 3);
}

TEST_F(Sensors, WhatTheDriverDoesNotTellIsEmpty) {
  fake_->ecc_code = 3;
  EXPECT_FALSE(open().sensors->identity().ecc);
}

TEST_F(Sensors, GiveTheLibraryBack) {
  open();
  EXPECT_EQ(fake_->started, 1);
  EXPECT_EQ(fake_->stopped, 1);
}

TEST_F(Sensors, SayWhyThereAreNone) {
  const auto absent = DeviceSensors::open(kBusId, "libno-such-nvml.so.1");
  EXPECT_FALSE(absent.sensors);
  EXPECT_NE(absent.why_not.find("libno-such-nvml.so.1 cannot be loaded"), std::string::npos) << absent.why_not;
  const auto other = DeviceSensors::open(kBusId, "libm.so.6");  // a library, but not this one
  EXPECT_FALSE(other.sensors);
  EXPECT_NE(other.why_not.find("nvmlInit_v2"), std::string::npos) << other.why_not;
  EXPECT_NE(open("0000:00:00.0").why_not.find("Not Found"), std::string::npos);
  fake_->init_code = 9;
  const auto unloaded = open();
  EXPECT_NE(unloaded.why_not.find("Driver Not Loaded"), std::string::npos) << unloaded.why_not;
  EXPECT_EQ(fake_->stopped, 1);  // by the open above alone: what did not start is not stopped
}

TEST(CudaIdentity, IsOfCudaDevicesAlone) { EXPECT_THROW(cuda_identity({}), Error); }

class IdentityOnDevice : public fixtures::DeviceTest {};

TEST_P(IdentityOnDevice, HasANameAndMemory) {
  const DeviceIdentity identity = cuda_identity(device());
  EXPECT_FALSE(identity.name.empty());
  if (is_emulated(device()))
    EXPECT_EQ(identity.name, "emulated");
  else
    EXPECT_GE(identity.major, 8);
  EXPECT_GT(identity.memory_bytes, uint64_t{1} << 30);
  EXPECT_EQ(pci_bus_id(device()).size(), 12U);
}

INSTANTIATE_TEST_SUITE_P(Cuda, IdentityOnDevice, ::testing::Values(DeviceKind::cuda), fixtures::device_test_name);

}  // namespace
}  // namespace timetrial
