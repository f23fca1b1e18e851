// The CPU side of devices, and the fork to CUDA.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/device/device.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "device/activity.h"
#include "device/cuda/runtime.h"
#include "timetrial/base/build.h"
#include "timetrial/base/error.h"
#include "timetrial/device/use_device.h"

namespace timetrial {

namespace {

constexpr size_t kAlignment = 256;

[[noreturn]] void no_cuda() { throw UserError("this program was built without CUDA: configure with --preset cuda"); }

}  // namespace

std::string Device::text() const {
  switch (kind) {
    case DeviceKind::cpu:
      return "cpu";
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) {
        if (cuda::is_emulated()) return fmt::format("emulated:{}", index);
      }
      return fmt::format("cuda:{}", index);
  }
  throw Error("unknown device kind");
}

int device_count(DeviceKind kind) {
  if (kind == DeviceKind::cpu) return 1;
  if constexpr (build::has_cuda) return cuda::device_count();
  return 0;
}

void use_device(Device device) {
  if (device.kind == DeviceKind::cpu) return;
  if constexpr (build::has_cuda) {
    cuda::use(device.index);
  } else {
    no_cuda();
  }
}

Device device_in_use(DeviceKind kind) {
  if constexpr (build::has_cuda) {
    if (kind == DeviceKind::cuda) return {.kind = kind, .index = cuda::in_use()};
  }
  return {.kind = kind};
}

Stream::Stream(Device device) : device_(device) {
  if (device.kind == DeviceKind::cpu) return;
  if constexpr (build::has_cuda) {
    handle_ = cuda::create_stream(device.index);
  } else {
    no_cuda();
  }
}

Stream::~Stream() {
  if constexpr (build::has_cuda) {
    if (handle_) cuda::destroy_stream(handle_);
  }
}

Stream::Stream(Stream&& other) noexcept
    : device_(other.device_), handle_(std::exchange(other.handle_, nullptr)), observer_(other.observer_) {}

Stream& Stream::operator=(Stream&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(handle_, other.handle_);
  std::swap(observer_, other.observer_);
  return *this;
}

void Stream::synchronize() const {
  if constexpr (build::has_cuda) {
    if (!handle_) return;
    DeviceActivityNotes::waited();
    cuda::synchronize(handle_);
  }
}

StreamPoint::StreamPoint(Device device) : device_(device) {
  if (device.kind == DeviceKind::cpu) return;
  if constexpr (build::has_cuda) {
    handle_ = cuda::create_point(device.index);
  } else {
    no_cuda();
  }
}

StreamPoint::~StreamPoint() {
  if constexpr (build::has_cuda) {
    if (handle_) cuda::destroy_point(handle_);
  }
}

StreamPoint::StreamPoint(StreamPoint&& other) noexcept
    : device_(other.device_), handle_(std::exchange(other.handle_, nullptr)) {}

StreamPoint& StreamPoint::operator=(StreamPoint&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(handle_, other.handle_);
  return *this;
}

void StreamPoint::set(StreamRef stream) {
  if constexpr (build::has_cuda) {
    if (handle_) cuda::set_point(handle_, stream.handle);
  }
}

void StreamPoint::hold(StreamRef stream) const {
  if constexpr (build::has_cuda) {
    if (handle_) cuda::hold_at_point(handle_, stream.handle);
  }
}

Buffer::Buffer(Device device, size_t bytes) : device_(device), bytes_(bytes) {
  if (bytes == 0) return;
  if (device.kind == DeviceKind::cuda) {
    if constexpr (build::has_cuda) {
      data_ = static_cast<std::byte*>(cuda::allocate(device.index, bytes));
    } else {
      no_cuda();
    }
    DeviceActivityNotes::allocated(bytes);
    return;
  }
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  data_ = static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded));
  if (!data_) throw Error(fmt::format("no memory for {} bytes on the host", bytes));
  std::memset(data_, 0, rounded);
  DeviceActivityNotes::allocated(bytes);
}

Buffer::~Buffer() {
  if (!data_) return;
  DeviceActivityNotes::released(bytes_);
  if (device_.kind == DeviceKind::cpu) {
    std::free(data_);
  } else if constexpr (build::has_cuda) {
    cuda::release(data_);
  }
}

Buffer::Buffer(Buffer&& other) noexcept
    : device_(other.device_), data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void copy_bytes(void* destination, Device to, const void* source, Device from, size_t bytes, StreamRef stream) {
  if (bytes == 0) return;
  if (to.kind == DeviceKind::cpu && from.kind == DeviceKind::cpu) {
    std::memcpy(destination, source, bytes);
  } else if constexpr (build::has_cuda) {
    const bool wait = to.kind == DeviceKind::cpu || from.kind == DeviceKind::cpu;
    DeviceActivityNotes::copied();
    if (wait) DeviceActivityNotes::waited();
    cuda::copy(destination, source, bytes, stream.handle, wait);
  } else {
    no_cuda();
  }
}

void fill_zero(void* data, size_t bytes, StreamRef stream) {
  if (bytes == 0) return;
  if (stream.device.kind == DeviceKind::cpu) {
    std::memset(data, 0, bytes);
  } else if constexpr (build::has_cuda) {
    cuda::fill_zero(stream.device.index, data, bytes, stream.handle);
  } else {
    no_cuda();
  }
}

}  // namespace timetrial
