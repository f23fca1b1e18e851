// Event and HostBuffer: how host and device work on without standing still for each other.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/device/device.h"

namespace timetrial {

// A point in a stream's work that the host can ask about. On the CPU everything queued is done.
class Event {
 public:
  explicit Event(Device device);
  ~Event();
  Event(Event&& other) noexcept;
  Event& operator=(Event&& other) noexcept;

  void record(StreamRef stream);  // the point is behind what is queued now; replaces the earlier one
  bool done() const;              // true before the first record. Throws Error when the work before it failed.
  void wait() const;              // until done

 private:
  Device device_;
  void* handle_ = nullptr;  // cudaEvent_t
};

// Host memory that copies to and from `device` can use while the host goes on: page-locked beside a GPU. Zero-filled.
class HostBuffer {
 public:
  HostBuffer(Device device, size_t bytes);
  ~HostBuffer();
  HostBuffer(HostBuffer&& other) noexcept;
  HostBuffer& operator=(HostBuffer&& other) noexcept;
  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  Device device_;
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

// Copies between device memory and a HostBuffer, either way, and never waits: the host side must stay as it is until
// the stream has come past. On the CPU the copy is done on return.
void queue_copy(void* destination, const void* source, size_t bytes, StreamRef stream);

}  // namespace timetrial
