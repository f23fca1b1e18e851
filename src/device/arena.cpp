// Bump allocation with scopes; a debug build poisons what a scope gives back.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/device/arena.h"

#include <algorithm>
#include <cstring>

#include "timetrial/base/build.h"
#include "timetrial/base/error.h"

namespace timetrial {

Arena::Arena(std::string name, Device device, size_t bytes)
    : name_(std::move(name)), buffer_(device, arena_bytes(bytes)) {}

std::byte* Arena::allocate(size_t bytes) {
  const size_t rounded = arena_bytes(bytes);
  TIMETRIAL_CHECK(used_ + rounded <= capacity(), "arena {}: {} bytes asked, {} of {} in use", name_, rounded, used_,
                  capacity());
  std::byte* result = buffer_.data() + used_;
  used_ += rounded;
  high_water_ = std::max(high_water_, used_);
  return result;
}

Arena::Scope::~Scope() {
  // 0xFF bytes are a NaN in every floating type and -1 in every integer type: stale reads show.
  if (build::debug && arena_.device().kind == DeviceKind::cpu && arena_.used_ > mark_)
    std::memset(arena_.buffer_.data() + mark_, 0xFF, arena_.used_ - mark_);
  arena_.used_ = mark_;
}

}  // namespace timetrial
