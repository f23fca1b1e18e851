// Who is on this host, with which device.
// SPDX-License-Identifier: Apache-2.0
#include "apps/own_cores.h"

#include <algorithm>

#include "apps/compute_device.h"
#include "apps/ranks.h"
#include "timetrial/base/identity.h"
#include "timetrial/device/sensors.h"
#include "timetrial/launch/binding.h"

namespace timetrial::apps {

namespace {

// "0000:1b:00.0" of the device that this rank will get; empty where there is none, which is refused later.
std::string device_id(const RunConfig& config, int local_rank) {
  if (config.device.kind == DeviceKind::cpu) return "";
  const int index = device_index(local_rank);
  return index < device_count(DeviceKind::cuda) ? pci_bus_id({.kind = DeviceKind::cuda, .index = index}) : "";
}

// Of the ranks of this host, by local rank; an empty one where any rank has none.
std::vector<std::string> devices_here(const RunConfig& config, comm::Bootstrap& bootstrap) {
  const std::string host = host_name() + " ";
  std::vector<std::string> devices;
  for (const std::string& text : bootstrap.all_gather(host + device_id(config, bootstrap.local_rank())))
    if (text.starts_with(host)) devices.push_back(text.substr(host.size()));
  return devices;
}

}  // namespace

void keep_to_own_cores(const RunConfig& config, comm::Bootstrap& bootstrap) {
  const std::vector<std::string> devices = devices_here(config, bootstrap);
  const int together = ranks_on_same_cores(bootstrap);  // collective, so before any rank leaves
  if (bootstrap.local_size() == 1 || together != bootstrap.local_size()) return;
  const bool known = std::none_of(devices.begin(), devices.end(), [](const std::string& id) { return id.empty(); });
  const launch::Shares shares =
      known ? launch::share_out_cores_beside(devices) : launch::share_out_cores(bootstrap.local_size());
  launch::bind_to(shares[static_cast<size_t>(bootstrap.local_rank())]);
}

}  // namespace timetrial::apps
