// Parts of a GPU's memory, from a device that is made up.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/device_memory.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace timetrial {
namespace {

constexpr size_t kGigabyte = 1'000'000'000;

TEST(DeviceMemory, EveryPartIsWhatWentSinceTheLastMark) {
  size_t free = 79 * kGigabyte;
  DeviceMemory memory([&free] { return free; }, 80 * kGigabyte);
  memory.mark("context");
  free -= 2 * kGigabyte;
  memory.mark("NCCL");
  free -= 10 * kGigabyte;
  memory.mark("engine");
  free += kGigabyte / 2;
  memory.mark("libraries");
  EXPECT_EQ(memory.text(8 * kGigabyte),
            "GPU memory 12.50 GB: context 1.00, NCCL 2.00, engine 10.00 (1.250 of the 8.00 planned), libraries -0.50");
  const Json json = memory.json(8 * kGigabyte);
  EXPECT_EQ(json["engine"], 10 * kGigabyte);
  EXPECT_EQ(json["libraries"], -static_cast<int64_t>(kGigabyte / 2));
  EXPECT_EQ(json["planned"], 8 * kGigabyte);
}

TEST(DeviceMemory, MeasuresNothingOnACpu) {
  DeviceMemory memory;
  memory.mark("engine");
  EXPECT_FALSE(memory.measures());
  EXPECT_TRUE(memory.json(1).is_null());
}

}  // namespace
}  // namespace timetrial
