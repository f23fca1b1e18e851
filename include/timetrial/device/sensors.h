// DeviceSensors: what the driver says of one GPU, through NVML loaded at run time: a machine without it is no error.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "timetrial/device/device.h"

namespace timetrial {

// What does not change while a run goes on. Empty where a driver does not tell.
struct DeviceIdentity {
  std::string name, driver;  // "NVIDIA H100 80GB HBM3", "580.65.06"
  int major = 0, minor = 0;  // compute capability
  uint64_t memory_bytes = 0;
  std::optional<bool> ecc;
  std::optional<int> max_sm_clock, max_memory_clock;  // MHz
  std::optional<double> power_limit;                  // W, the enforced one
};

// A look at the GPU now.
struct DeviceState {
  std::optional<int> sm_clock, memory_clock;  // MHz
  std::optional<double> power;                // W
  std::optional<int> temperature;             // degrees Celsius
  std::vector<std::string> throttled_by;      // "power cap", "thermal slowdown (hardware)", ...; not idleness
  std::optional<int> processes;               // that hold a compute context, this one among them if it has one
};

// Not thread-safe. Calls take some microseconds to milliseconds and wait for no work on the GPU.
class DeviceSensors {
 public:
  struct Opened {
    std::unique_ptr<DeviceSensors> sensors;  // null: `why_not` says why in one line
    std::string why_not;
  };
  // `bus_id` as CUDA writes it, "0000:1b:00.0"; `library` is loaded with dlopen.
  static Opened open(const std::string& bus_id, const std::string& library = "libnvidia-ml.so.1");
  ~DeviceSensors();
  DeviceSensors(const DeviceSensors&) = delete;
  DeviceSensors& operator=(const DeviceSensors&) = delete;

  DeviceIdentity identity() const;
  DeviceState state() const;

 private:
  struct Library;
  explicit DeviceSensors(std::unique_ptr<Library> library);
  std::unique_ptr<Library> library_;
};

// From the CUDA runtime alone: name, capability, memory, ECC. Throws Error for a device that is none.
DeviceIdentity cuda_identity(Device device);
// "13.0", of the CUDA runtime that this program was built with; empty in a build without CUDA.
std::string cuda_runtime_version();
// Bytes of a CUDA device, and those that nobody holds now. Throws Error for the CPU.
struct DeviceRoom {
  size_t free = 0, total = 0;
};
DeviceRoom room_on(Device device);
// Whether this CUDA device is the CPU under another name, which builds for tests have (preset emulation). No figure of
// it says anything about a GPU.
bool is_emulated(Device device);
// "0000:1b:00.0".
std::string pci_bus_id(Device device);

}  // namespace timetrial
