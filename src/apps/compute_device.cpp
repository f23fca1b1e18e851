// Driver first, CUDA runtime where that is silent.
// SPDX-License-Identifier: Apache-2.0
#include "apps/compute_device.h"

#include <omp.h>

#include <algorithm>

#include "timetrial/base/build.h"
#include "timetrial/base/error.h"
#include "timetrial/base/identity.h"

namespace timetrial::apps {

namespace {

// Every rank sees who else has its device. Two ranks on one would be a hang in NCCL, or half the speed.
void refuse_shared(Device device, comm::Bootstrap& bootstrap) {
  const std::vector<std::string> all = bootstrap.all_gather(host_name() + " " + pci_bus_id(device));
  const std::string& mine = all[static_cast<size_t>(bootstrap.rank())];
  for (int other = 0; other < bootstrap.size(); ++other)
    if (other != bootstrap.rank() && all[static_cast<size_t>(other)] == mine)
      throw ConfigError("/device/kind",
                        fmt::format("ranks {} and {} would share one GPU ({}); start as many ranks per host as there "
                                    "are devices, and let each see all of them or one of its own",
                                    std::min(other, bootstrap.rank()), std::max(other, bootstrap.rank()), mine));
}

}  // namespace

int device_index(int local_rank) { return device_count(DeviceKind::cuda) == 1 ? 0 : local_rank; }

Device device_of(const RunConfig& config, comm::Bootstrap& bootstrap) {
  Device device = device_of(config);
  if (device.kind == DeviceKind::cpu) return device;
  device.index = device_index(bootstrap.local_rank());
  if (device.index >= device_count(DeviceKind::cuda))
    throw ConfigError("/device/kind",
                      fmt::format("rank {} of this host has no CUDA device of its own, there are {}; start "
                                  "as many ranks per host as there are devices",
                                  bootstrap.local_rank(), device_count(DeviceKind::cuda)));
  if (bootstrap.size() > 1) refuse_shared(device, bootstrap);
  return device;
}

Device device_of(const RunConfig& config) {
  if (config.device.kind == DeviceKind::cpu) return {};
  if (!build::has_cuda)
    throw ConfigError("/device/kind",
                      "this program was built without CUDA; build it with --preset cuda or use \"cpu\"");
  if (device_count(DeviceKind::cuda) == 0)
    throw ConfigError("/device/kind",
                      "no CUDA device can be used on this machine (nvidia-smi lists them); use \"cpu\"");
  if (config.device.dtype == DType::f64)
    throw ConfigError("/device/dtype", "CUDA computes in f32 and bf16; f64 is for the CPU alone");
  return {.kind = config.device.kind};
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
