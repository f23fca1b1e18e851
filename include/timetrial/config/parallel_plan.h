// ParallelPlan: how many ranks each axis has, the rules that bind them, and which rank stands where.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "timetrial/config/model_shape.h"

namespace timetrial {

enum class Axis { data, tensor, pipeline, context, expert };

// Dense layers see data x tensor x pipeline x context; experts see the same ranks of a pipeline stage as expert x data.
struct ParallelPlan {
  int data = 1, tensor = 1, pipeline = 1, context = 1, expert = 1;
  bool operator==(const ParallelPlan&) const = default;
  int world_size() const { return data * tensor * pipeline * context; }
  int stage_size() const { return data * tensor * context; }  // ranks of one pipeline stage
  int expert_data() const { return stage_size() / expert; }   // ranks that hold the same experts
};

// Where a rank stands: in the dense view, and in the expert view of its stage. Neighbouring ranks differ first in
// tensor, then context, data and pipeline; in the expert view first in expert. So tensor and expert groups are
// neighbours, and fill hosts before they cross them.
struct Coordinates {
  int data = 0, tensor = 0, pipeline = 0, context = 0;
  int expert = 0, expert_data = 0;
  bool operator==(const Coordinates&) const = default;
};
Coordinates coordinates_of(const ParallelPlan& plan, int rank);
int rank_of(const ParallelPlan& plan, const Coordinates& place);  // from the dense view

// Colour of the group of `rank` along an axis: equal for the ranks that differ in that axis alone. Data: the ranks that
// hold the same dense parameters, so context too. Expert: the ranks that share out one set of experts.
int colour_of(const ParallelPlan& plan, Axis axis, int rank);
int expert_data_colour(const ParallelPlan& plan, int rank);  // of the ranks that hold the same experts

// The rules between the axes, the model and the hosts of `ranks_per_host` ranks each (the last may have fewer). Throws
// ConfigError with the path, both numbers and a fix: heads, expert or vocabulary rows that do not divide, experts
// without experts, a tensor group across hosts, an expert group that neither fits into a host nor fills several.
void validate(const ParallelPlan& plan, const ModelShape& shape, int ranks_per_host);

// Throws ConfigError for an axis that this version plans but does not train along: all but data.
void require_trainable(const ParallelPlan& plan);

}  // namespace timetrial
