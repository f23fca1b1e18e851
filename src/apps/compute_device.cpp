// Driver first, CUDA runtime where that is silent.
// SPDX-License-Identifier: Apache-2.0
#include "apps/compute_device.h"

#include <omp.h>

#include "timetrial/base/build.h"
#include "timetrial/base/error.h"
#include "timetrial/base/identity.h"

namespace timetrial::apps {

Device device_of(const RunConfig& config, int local_rank) {
  if (config.device.kind == DeviceKind::cpu) return {};
  if (!build::has_cuda)
    throw ConfigError("/device/kind",
                      "this program was built without CUDA; build it with --preset cuda or use \"cpu\"");
  if (device_count(DeviceKind::cuda) == 0)
    throw ConfigError("/device/kind",
                      "no CUDA device can be used on this machine (nvidia-smi lists them); use \"cpu\"");
  if (config.device.dtype == DType::f64)
    throw ConfigError("/device/dtype", "CUDA computes in f32 and bf16; f64 is for the CPU alone");
  if (local_rank >= device_count(DeviceKind::cuda))
    throw ConfigError("/device/kind",
                      fmt::format("rank {} of this host has no CUDA device of its own, there are {}; start "
                                  "as many ranks per host as there are devices",
                                  local_rank, device_count(DeviceKind::cuda)));
  return {.kind = config.device.kind, .index = local_rank};
}

ComputeDevice look_at(Device device) {
  if (device.kind == DeviceKind::cpu) return {.name = processor_name(), .identity = {}, .sensors = {}, .note = {}};
  if (is_emulated(device))
    return {.name = cuda_identity(device).name,
            .identity = cuda_identity(device),
            .sensors = {},
            .note = "the GPU is emulated on the CPU for tests: no figure of this run is a GPU's"};
  DeviceSensors::Opened opened = DeviceSensors::open(pci_bus_id(device));
  DeviceIdentity identity = opened.sensors ? opened.sensors->identity() : cuda_identity(device);
  return {.name = identity.name,
          .identity = identity,
          .sensors = std::move(opened.sensors),
          .note = std::move(opened.why_not)};
}

std::string describe(Device device, const ComputeDevice& compute) {
  if (device.kind == DeviceKind::cpu) return fmt::format("cpu: {}, {} threads", compute.name, omp_get_max_threads());
  return fmt::format("{}: {}, {}, driver {}", device.text(), compute.name, pci_bus_id(device),
                     compute.identity.driver.empty() ? "unknown" : compute.identity.driver);
}

void log_device(const ComputeDevice& device, RunLog& log) {
  if (!device.identity.name.empty()) log.device(device.identity, device.note);
}

}  // namespace timetrial::apps
