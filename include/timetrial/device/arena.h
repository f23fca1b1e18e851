// Arena: a named bump allocator over one buffer, with scopes and a high-water mark.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "timetrial/device/device.h"

namespace timetrial {

// Every allocation starts at a multiple of this many bytes; plans round with `arena_bytes` so that both agree.
inline constexpr size_t kArenaAlignment = 256;
inline constexpr size_t arena_bytes(size_t bytes) {
  return (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
}

// Not thread-safe: one arena serves one stream.
class Arena {
 public:
  Arena(std::string name, Device device, size_t bytes);

  // Memory valid until the innermost open Scope closes. Throws Error with the arena's name and sizes when it is full.
  std::byte* allocate(size_t bytes);

  size_t used() const { return used_; }
  size_t capacity() const { return buffer_.bytes(); }
  size_t high_water() const { return high_water_; }
  Device device() const { return buffer_.device(); }
  const std::string& name() const { return name_; }

  // Gives back what was allocated since it was made.
  class Scope {
   public:
    explicit Scope(Arena& arena) : arena_(arena), mark_(arena.used_) {}
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Arena& arena_;
    size_t mark_;
  };

 private:
  std::string name_;
  Buffer buffer_;
  size_t used_ = 0;
  size_t high_water_ = 0;
};

}  // namespace timetrial
