// Differences of free memory, in words.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/device_memory.h"

#include <nlohmann/json.hpp>

#include "timetrial/base/error.h"

namespace timetrial {

void DeviceMemory::mark(const std::string& what) {
  if (!free_) return;
  const size_t now = free_();
  parts_.push_back({.what = what, .bytes = static_cast<int64_t>(last_) - static_cast<int64_t>(now)});
  last_ = now;
}

std::string DeviceMemory::text(size_t planned_bytes) const {
  int64_t sum = 0;
  std::string parts;
  for (const Part& part : parts_) {
    sum += part.bytes;
    parts += fmt::format("{}{} {:.2f}", parts.empty() ? "" : ", ", part.what, static_cast<double>(part.bytes) / 1e9);
    if (part.what == "engine" && planned_bytes > 0)
      parts += fmt::format(" ({:.3f} of the {:.2f} planned)",
                           static_cast<double>(part.bytes) / static_cast<double>(planned_bytes),
                           static_cast<double>(planned_bytes) / 1e9);
  }
  return fmt::format("GPU memory {:.2f} GB: {}", static_cast<double>(sum) / 1e9, parts);
}

Json DeviceMemory::json(size_t planned_bytes) const {
  if (!free_) return nullptr;
  Json json{{"planned", planned_bytes}};
  for (const Part& part : parts_) json[part.what] = part.bytes;
  return json;
}

}  // namespace timetrial
