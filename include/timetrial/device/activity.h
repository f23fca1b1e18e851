// DeviceActivity: what a thread asks of devices while it is watched: memory taken, waits, copies.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace timetrial {

struct DeviceCounts {
  int64_t allocations = 0;  // buffers taken, on a device or page-locked on the host
  int64_t waits = 0;        // times the host stood still for a stream or an event
  int64_t copies = 0;       // copies queued between host and device, or within a device
  int64_t live_bytes = 0;   // device memory taken less given back; host memory counts where the device is the CPU
  int64_t peak_bytes = 0;   // the most that live_bytes was
};

// Counts for the thread that made it, from then until it is destroyed; watches may nest, each then sees all. Buffers
// and streams carry no context that a counter could travel in, so the watches of a thread are kept by the thread.
class DeviceActivity {
 public:
  DeviceActivity();
  ~DeviceActivity();
  DeviceActivity(const DeviceActivity&) = delete;
  DeviceActivity& operator=(const DeviceActivity&) = delete;
  const DeviceCounts& counts() const { return counts_; }

 private:
  friend struct DeviceActivityNotes;
  DeviceCounts counts_;
  DeviceActivity* outer_;
};

}  // namespace timetrial
