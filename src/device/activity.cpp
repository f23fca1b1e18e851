// The chain of watches of each thread.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/device/activity.h"

#include <algorithm>

#include "device/activity.h"

namespace timetrial {

namespace {

DeviceActivity*& innermost() {
  thread_local DeviceActivity* watch = nullptr;
  return watch;
}

}  // namespace

DeviceActivity::DeviceActivity() : outer_(innermost()) { innermost() = this; }
DeviceActivity::~DeviceActivity() { innermost() = outer_; }

void DeviceActivityNotes::allocated(size_t bytes) {
  for (DeviceActivity* watch = innermost(); watch; watch = watch->outer_) {
    DeviceCounts& counts = watch->counts_;
    ++counts.allocations;
    counts.live_bytes += static_cast<int64_t>(bytes);
    counts.peak_bytes = std::max(counts.peak_bytes, counts.live_bytes);
  }
}

void DeviceActivityNotes::released(size_t bytes) {
  for (DeviceActivity* watch = innermost(); watch; watch = watch->outer_)
    watch->counts_.live_bytes -= static_cast<int64_t>(bytes);
}

void DeviceActivityNotes::waited() {
  for (DeviceActivity* watch = innermost(); watch; watch = watch->outer_) ++watch->counts_.waits;
}

void DeviceActivityNotes::copied() {
  for (DeviceActivity* watch = innermost(); watch; watch = watch->outer_) ++watch->counts_.copies;
}

}  // namespace timetrial
