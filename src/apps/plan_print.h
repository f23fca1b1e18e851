// The plan of a run for people and for programs: counts, memory, batch arithmetic.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "timetrial/train/memory_plan.h"

namespace timetrial::apps {

// Both say whether the run fits the memory of this machine; neither throws when it does not.
std::string plan_text(const RunConfig& config, const Model& model);
Json plan_json(const RunConfig& config, const Model& model);

std::string bytes_text(size_t bytes);  // "1.50 GB"

// Throws UserError when `ranks_here` ranks of this plan need more than this machine has, or one more than its GPU.
void check_memory(const MemoryPlan& plan, const RunConfig& config, int ranks_here = 1);

}  // namespace timetrial::apps
