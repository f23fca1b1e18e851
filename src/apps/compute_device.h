// ComputeDevice: what this rank computes on, as far as the machine tells.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "timetrial/device/sensors.h"
#include "timetrial/train/run_log.h"
#include "timetrial/train/utilization.h"

namespace timetrial::apps {

struct ComputeDevice {
  std::string name;                        // the GPU's as its driver gives it, or the processor's
  DeviceIdentity identity;                 // of a GPU
  std::unique_ptr<DeviceSensors> sensors;  // null on the CPU and where the driver library is missing
  std::string note;                        // why there are no sensors of a GPU
};
ComputeDevice look_at(Device device);

// A GPU's facts, and what they lack, into the log; nothing on the CPU.
void log_device(const ComputeDevice& device, RunLog& log);

}  // namespace timetrial::apps
