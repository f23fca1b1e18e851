// Device and StreamRef: where memory lives and where work is queued.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "timetrial/base/device_kind.h"

namespace timetrial {

class OpObserver;

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;  // CUDA device index on this host; 0 on the CPU
  bool operator==(const Device&) const = default;
  std::string text() const;  // "cpu", "cuda:0"
};

// A queue of work that someone else owns. On the CPU work is done when the call returns. Calls on one stream come from
// one thread at a time.
struct StreamRef {
  Device device;
  void* handle = nullptr;          // cudaStream_t on CUDA, null on the CPU
  OpObserver* observer = nullptr;  // told of every op; optional
};

// Owns a stream of its device; moves, never copies. On the CPU it is a name for "now".
class Stream {
 public:
  explicit Stream(Device device);
  ~Stream();
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&& other) noexcept;
  StreamRef ref() const { return {device_, handle_, observer_}; }
  // `observer` is told of every op from the next `ref` on, until another or none is given; it must live that long.
  void observe(OpObserver* observer) { observer_ = observer; }
  // Waits until all queued work is done; throws Error if any of it failed.
  void synchronize() const;

 private:
  Device device_;
  void* handle_ = nullptr;
  OpObserver* observer_ = nullptr;
};

// A point in the work of one stream that other streams can wait for. On the CPU everything queued is done.
class StreamPoint {
 public:
  explicit StreamPoint(Device device);
  ~StreamPoint();
  StreamPoint(StreamPoint&& other) noexcept;
  StreamPoint& operator=(StreamPoint&& other) noexcept;
  void set(StreamRef stream);  // behind what is queued there now; replaces the earlier point
  void hold(StreamRef stream)
      const;  // what is queued there from now on waits for the point; before the first set: for nothing

 private:
  Device device_;
  void* handle_ = nullptr;
};

// Number of devices of this kind that can be used now; 0 for CUDA in a CPU build or without a GPU.
int device_count(DeviceKind kind);

// Owns device memory, zero-filled and aligned to 256 bytes. Throws Error naming the size when the device has no room.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Device device, size_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }

 private:
  Device device_;
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

// Copies between any two places, ordered on `stream`; returns when the bytes may be read if one side is host memory.
void copy_bytes(void* destination, Device to, const void* source, Device from, size_t bytes, StreamRef stream);
void fill_zero(void* data, size_t bytes, StreamRef stream);

}  // namespace timetrial
