// Upload: values that the host makes anew for every step, on their way to one place in device memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "timetrial/device/event.h"

namespace timetrial {

// Two host sets take turns, so the host fills one while the copy of the other is still queued. The place on the device
// is always the same one: what reads it may be captured once and replayed. Not thread-safe; one stream.
class Upload {
 public:
  Upload(Device device, size_t bytes);

  // The host set whose turn it is. Waits for its last copy, two sends ago; not at all when the device keeps up.
  std::byte* fill();
  // Queues the copy of its first `bytes` to device memory, ordered on the stream; the other set is next.
  void send(void* destination, size_t bytes, StreamRef stream);

 private:
  struct Set {
    HostBuffer host;
    Event copied;
  };
  std::array<Set, 2> sets_;
  size_t turn_ = 0;
};

}  // namespace timetrial
