// Events, page-locked memory and copies that nobody waits for; on the CPU all of it is plain memory and now.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/device/event.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "device/activity.h"
#include "device/cuda/runtime.h"
#include "timetrial/base/build.h"
#include "timetrial/base/error.h"

namespace timetrial {

namespace {

[[noreturn]] void no_cuda() { throw UserError("this program was built without CUDA: configure with --preset cuda"); }

}  // namespace

Event::Event(Device device) : device_(device) {
  if (device.kind == DeviceKind::cpu) return;
  if constexpr (build::has_cuda) {
    handle_ = cuda::create_event(device.index);
  } else {
    no_cuda();
  }
}

Event::~Event() {
  if constexpr (build::has_cuda) {
    if (handle_) cuda::destroy_event(handle_);
  }
}

Event::Event(Event&& other) noexcept : device_(other.device_), handle_(std::exchange(other.handle_, nullptr)) {}

Event& Event::operator=(Event&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(handle_, other.handle_);
  return *this;
}

void Event::record(StreamRef stream) {
  TIMETRIAL_CHECK(stream.device == device_, "an event of {} recorded on a stream of {}", device_.text(),
                  stream.device.text());
  if constexpr (build::has_cuda) {
    if (handle_) cuda::record_event(handle_, stream.handle);
  }
}

bool Event::done() const {
  if constexpr (build::has_cuda) {
    if (handle_) return cuda::event_done(handle_);
  }
  return true;
}

void Event::wait() const {
  if (done()) return;
  DeviceActivityNotes::waited();
  if constexpr (build::has_cuda) cuda::wait_event(handle_);
}

HostBuffer::HostBuffer(Device device, size_t bytes) : device_(device), bytes_(bytes) {
  if (bytes == 0) return;
  if (device.kind == DeviceKind::cuda) {
    if constexpr (build::has_cuda) {
      data_ = static_cast<std::byte*>(cuda::allocate_host(device.index, bytes));
    } else {
      no_cuda();
    }
  } else {
    data_ = static_cast<std::byte*>(std::malloc(bytes));
    if (!data_) throw Error(fmt::format("no memory for {} bytes on the host", bytes));
  }
  std::memset(data_, 0, bytes);
  DeviceActivityNotes::allocated(device.kind == DeviceKind::cpu ? bytes : 0);
}

HostBuffer::~HostBuffer() {
  if (!data_) return;
  DeviceActivityNotes::released(device_.kind == DeviceKind::cpu ? bytes_ : 0);
  if (device_.kind == DeviceKind::cpu) {
    std::free(data_);
  } else if constexpr (build::has_cuda) {
    cuda::release_host(data_);
  }
}

HostBuffer::HostBuffer(HostBuffer&& other) noexcept
    : device_(other.device_), data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

HostBuffer& HostBuffer::operator=(HostBuffer&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void queue_copy(void* destination, const void* source, size_t bytes, StreamRef stream) {
  if (bytes == 0) return;
  DeviceActivityNotes::copied();
  if (stream.device.kind == DeviceKind::cpu) {
    std::memcpy(destination, source, bytes);
  } else if constexpr (build::has_cuda) {
    cuda::copy(destination, source, bytes, stream.handle, false);
  } else {
    no_cuda();
  }
}

}  // namespace timetrial
