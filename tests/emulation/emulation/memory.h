// DeviceMemory: allocations of the emulated device, out of the host's reach while no work runs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>

namespace timetrial::emulation {

inline constexpr size_t kDeviceBytes = size_t{16} << 30;

enum class MemoryKind { device, page_locked, pageable };

class DeviceMemory {
 public:
  // Garbage at first, which is NaN in every floating type. Null when the device has no more room.
  void* allocate(size_t bytes, int device);
  // False for what is no allocation.
  bool release(void* data);
  void* allocate_host(size_t bytes, int device);
  bool release_host(void* data);

  MemoryKind kind_of(const void* data) const;
  int device_of(const void* data) const;  // of what was allocated; -1 for other memory
  // Whether [data, data + bytes) lies inside one allocation, for addresses that are inside one.
  bool holds(const void* data, size_t bytes) const;
  size_t free_bytes() const { return kDeviceBytes - used_; }

  // While one is open, the device's memory can be read and written.
  class Open {
   public:
    explicit Open(DeviceMemory& memory);
    ~Open();
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;

   private:
    DeviceMemory& memory_;
  };

 private:
  struct Allocation {
    size_t bytes;     // asked for
    std::byte* base;  // of the mapping
    size_t mapped;
    int device;
  };
  void let(bool allowed) const;
  const std::pair<const std::byte* const, Allocation>* find(const std::map<const std::byte*, Allocation>& in,
                                                            const void* data) const;

  std::map<const std::byte*, Allocation> device_, host_;
  size_t used_ = 0;
  int open_ = 0;
};

}  // namespace timetrial::emulation
