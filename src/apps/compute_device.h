// ComputeDevice: what this rank computes on, as far as the machine tells.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "timetrial/config/run_config.h"
#include "timetrial/device/sensors.h"
#include "timetrial/train/run_log.h"
#include "timetrial/train/utilization.h"

namespace timetrial::apps {

// The device of a rank: the CPU, or the GPU with the number that the rank has on its host. Throws ConfigError where
// that is not there.
Device device_of(const RunConfig& config, int local_rank);

struct ComputeDevice {
  std::string name;                        // the GPU's as its driver gives it, or the processor's
  DeviceIdentity identity;                 // of a GPU
  std::unique_ptr<DeviceSensors> sensors;  // null on the CPU and where the driver library is missing
  std::string note;                        // why there are no sensors of a GPU
};
ComputeDevice look_at(Device device);

// "cuda:0: NVIDIA H100 80GB HBM3, 0000:1b:00.0, driver 580.65.06" or "cpu: the processor, 4 threads".
std::string describe(Device device, const ComputeDevice& compute);

// A GPU's facts, and what they lack, into the log; nothing on the CPU.
void log_device(const ComputeDevice& device, RunLog& log);

}  // namespace timetrial::apps
