// ParallelPlan: how many ranks each axis has, and the rules that bind them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "timetrial/config/model_shape.h"

namespace timetrial {

enum class Axis { data, tensor, pipeline, context, expert };

// Dense layers see data x tensor x pipeline x context; experts see the same ranks as expert x data.
struct ParallelPlan {
  int data = 1, tensor = 1, pipeline = 1, context = 1, expert = 1;
  bool operator==(const ParallelPlan&) const = default;
  int world_size() const { return data * tensor * pipeline * context; }
};

// Throws ConfigError("/parallel/tp", "8 does not divide 12 heads") and the like. This build runs one rank: every other
// plan is refused with the axis named.
void validate(const ParallelPlan& plan, const ModelShape& shape);

}  // namespace timetrial
