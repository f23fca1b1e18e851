// Turns of the two host sets.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/device/upload.h"

#include "timetrial/base/error.h"

namespace timetrial {

Upload::Upload(Device device, size_t bytes)
    : sets_{Set{HostBuffer(device, bytes), Event(device)}, Set{HostBuffer(device, bytes), Event(device)}} {}

std::byte* Upload::fill() {
  const Set& set = sets_[turn_];
  set.copied.wait();
  return set.host.data();
}

void Upload::send(void* destination, size_t bytes, StreamRef stream) {
  Set& set = sets_[turn_];
  TIMETRIAL_CHECK(bytes <= set.host.bytes(), "{} bytes from a set of {}", bytes, set.host.bytes());
  queue_copy(destination, set.host.data(), bytes, stream);
  set.copied.record(stream);
  turn_ = 1 - turn_;
}

}  // namespace timetrial
