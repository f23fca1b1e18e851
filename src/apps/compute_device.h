// ComputeDevice: what this rank computes on, as far as the machine tells.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "timetrial/comm/bootstrap.h"
#include "timetrial/config/run_config.h"
#include "timetrial/device/sensors.h"
#include "timetrial/train/run_log.h"
#include "timetrial/train/utilization.h"

namespace timetrial::apps {

// The device of one rank, or of one that stands for all. Throws ConfigError where there is none.
Device device_of(const RunConfig& config);
// The device of this rank: the CPU, or the GPU with the number that the rank has on its host; the only one where the
// launcher shows every rank another one (srun --gpus-per-task=1). Throws ConfigError where there is none, or another
// rank has the same. Collective on CUDA.
Device device_of(const RunConfig& config, comm::Bootstrap& bootstrap);
// The number of that device, as far as this rank alone can tell: past the last one where there are too few.
int device_index(int local_rank);

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
