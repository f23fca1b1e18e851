// ParallelPlan: how many ranks each axis has, and the rules that bind them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace timetrial {

enum class Axis { data, tensor, pipeline, context, expert };

// Dense layers see data x tensor x pipeline x context; experts see the same ranks as expert x data.
struct ParallelPlan {
  int data = 1, tensor = 1, pipeline = 1, context = 1, expert = 1;
  bool operator==(const ParallelPlan&) const = default;
  int world_size() const { return data * tensor * pipeline * context; }
};

// Throws ConfigError naming the axis and its number, e.g. "/parallel/tp: 8: this version trains on one rank". Every
// plan but one rank on each axis is refused.
void validate(const ParallelPlan& plan);

}  // namespace timetrial
