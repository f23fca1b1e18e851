// DeviceMemory: where a GPU's memory went: the engine's, beside its plan, and what context, NCCL and libraries took.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "timetrial/base/json.h"

namespace timetrial {

// Measured as the driver counts it: memory that was free at one mark and is not at the next. Other processes on the
// same GPU would be taken for ours. One thread.
class DeviceMemory {
 public:
  DeviceMemory() = default;  // of a CPU: measures nothing
  // `free` gives the device's free bytes; `total` its bytes. What is taken already belongs to the first mark.
  DeviceMemory(std::function<size_t()> free, size_t total) : free_(std::move(free)), last_(total) {}

  // What went since the last mark, or came back, is `what`'s. "engine" is held against the plan.
  void mark(const std::string& what);
  bool measures() const { return static_cast<bool>(free_); }

  // "GPU memory 12.40 GB: context 0.52, NCCL 0.31, engine 11.00 (1.002 of the 10.98 planned), libraries 0.57"
  std::string text(size_t planned_bytes) const;
  // {"context": bytes, ..., "planned": bytes}; null where nothing is measured.
  Json json(size_t planned_bytes) const;

 private:
  struct Part {
    std::string what;
    int64_t bytes;
  };
  std::function<size_t()> free_;
  size_t last_ = 0;
  std::vector<Part> parts_;
};

}  // namespace timetrial
