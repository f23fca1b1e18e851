// Driver first, CUDA runtime where that is silent.
// SPDX-License-Identifier: Apache-2.0
#include "apps/compute_device.h"

#include "timetrial/base/identity.h"

namespace timetrial::apps {

ComputeDevice look_at(Device device) {
  if (device.kind == DeviceKind::cpu) return {.name = processor_name(), .identity = {}, .sensors = {}, .note = {}};
  DeviceSensors::Opened opened = DeviceSensors::open(pci_bus_id(device));
  DeviceIdentity identity = opened.sensors ? opened.sensors->identity() : cuda_identity(device);
  return {.name = identity.name,
          .identity = identity,
          .sensors = std::move(opened.sensors),
          .note = std::move(opened.why_not)};
}

void log_device(const ComputeDevice& device, RunLog& log) {
  if (!device.identity.name.empty()) log.device(device.identity, device.note);
}

}  // namespace timetrial::apps
