// The rules that bind the axes of a parallel plan.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/parallel_plan.h"

#include <string_view>
#include <utility>

#include "timetrial/base/error.h"

namespace timetrial {

void validate(const ParallelPlan& plan) {
  const std::pair<std::string_view, int> axes[] = {
      {"dp", plan.data}, {"tp", plan.tensor}, {"pp", plan.pipeline}, {"cp", plan.context}, {"ep", plan.expert}};
  for (const auto& [axis, ranks] : axes) {
    if (ranks == 1) continue;
    throw ConfigError(fmt::format("/parallel/{}", axis),
                      fmt::format("{}: this version trains on one rank; set parallel.{} to 1", ranks, axis));
  }
}

}  // namespace timetrial
