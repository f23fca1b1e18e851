// Which devices a thread leaves a context on: its own alone, whatever it does.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/device/use_device.h"

#include <gtest/gtest.h>

#include <thread>

#include "fixtures/emulated_devices.h"
#include "timetrial/device/event.h"
#include "timetrial/device/sensors.h"

namespace timetrial {
namespace {

TEST(UseDevice, CostsNothingOnTheCpu) {
  use_device({});
  EXPECT_EQ(device_in_use(DeviceKind::cpu), Device{});
}

#if TIMETRIAL_EMULATED

// What a rank does with its device outside of kernels.
void work_on(Device device) {
  const Stream stream(device), other(device);
  const Buffer a(device, 64), b(device, 64);
  const HostBuffer host(device, 64);
  Event event(device);
  StreamPoint point(device);
  fill_zero(a.data(), 64, stream.ref());
  copy_bytes(b.data(), device, a.data(), device, 64, stream.ref());
  queue_copy(host.data(), b.data(), 64, stream.ref());
  event.record(stream.ref());
  point.set(stream.ref());
  point.hold(other.ref());
  event.wait();
  stream.synchronize();
  EXPECT_GT(room_on(device).free, 0U);
}

TEST(UseDevice, LeavesNoContextOnDeviceZero_cuda) {
  testing::emulate_devices(2);
  emulation::forget_contexts();
  std::thread([] {
    const Device second{.kind = DeviceKind::cuda, .index = 1};
    use_device(second);
    EXPECT_EQ(device_in_use(DeviceKind::cuda), second);
    work_on(second);
  }).join();
  EXPECT_TRUE(emulation::has_context(1));
  EXPECT_FALSE(emulation::has_context(0));
}

// The reason for use_device: without it a thread's device is 0, and that one gets a context too.
TEST(UseDevice, WithoutItDeviceZeroGetsAContext_cuda) {
  testing::emulate_devices(2);
  emulation::forget_contexts();
  std::thread([] { work_on({.kind = DeviceKind::cuda, .index = 1}); }).join();
  EXPECT_TRUE(emulation::has_context(0));
}

#endif

}  // namespace
}  // namespace timetrial
