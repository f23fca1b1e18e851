// The part of a plan that is about many ranks: who stands where, and what travels between them in a step.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "timetrial/train/memory_plan.h"

namespace timetrial::apps {

// What one rank hands to a collective of one kind in a step.
struct Traffic {
  std::string collective, purpose, group;  // "reduce_scatter", "gradients", "data"
  int ranks;                               // of the group
  int64_t calls;                           // per step
  size_t bytes;                            // per step, of the whole tensors
  size_t largest;                          // bytes of the largest call
};

// Of training along the data axis, from the model's own parameters; empty for one rank. Traffic of the other axes is
// not in it.
std::vector<Traffic> traffic_of_step(const RunConfig& config, const Model& model);

// Groups of every axis, their place on hosts, and the traffic where it is known; empty for one rank.
std::string ranks_text(const RunConfig& config, const Model& model);
Json ranks_json(const RunConfig& config, const Model& model);

// One line per rank: rank, host, place on the host, coordinates in the dense and the expert view.
std::string rank_map_text(const RunConfig& config);

}  // namespace timetrial::apps
