// Coordinates of ranks, and the rules that bind the axes of a parallel plan.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/parallel_plan.h"

#include <string_view>
#include <utility>

#include "timetrial/base/error.h"

namespace timetrial {

namespace {

[[noreturn]] void refuse(std::string_view axis, int ranks, const std::string& why) {
  throw ConfigError(fmt::format("/parallel/{}", axis), fmt::format("{} {}", ranks, why));
}

// The largest number up to `ranks` that divides all of `whole`: a fix that works.
int largest_divisor(int ranks, std::initializer_list<int64_t> whole) {
  for (int candidate = ranks; candidate > 1; --candidate) {
    bool divides = true;
    for (const int64_t number : whole) divides = divides && number % candidate == 0;
    if (divides) return candidate;
  }
  return 1;
}

void must_divide(std::string_view axis, int ranks, const std::pair<std::string_view, int64_t>& whole) {
  if (whole.second % ranks == 0) return;
  refuse(axis, ranks,
         fmt::format("does not divide the {} {}; use {}", whole.second, whole.first,
                     largest_divisor(ranks, {whole.second})));
}

}  // namespace

Coordinates coordinates_of(const ParallelPlan& plan, int rank) {
  TIMETRIAL_CHECK(rank >= 0 && rank < plan.world_size(), "rank {} of {}", rank, plan.world_size());
  const int in_stage = rank % plan.stage_size();
  return {.data = in_stage / (plan.tensor * plan.context),
          .tensor = in_stage % plan.tensor,
          .pipeline = rank / plan.stage_size(),
          .context = in_stage / plan.tensor % plan.context,
          .expert = in_stage % plan.expert,
          .expert_data = in_stage / plan.expert};
}

int rank_of(const ParallelPlan& plan, const Coordinates& place) {
  return ((place.pipeline * plan.data + place.data) * plan.context + place.context) * plan.tensor + place.tensor;
}

int colour_of(const ParallelPlan& plan, Axis axis, int rank) {
  const Coordinates at = coordinates_of(plan, rank);
  Coordinates first = at;
  switch (axis) {
    case Axis::data:
      first.data = first.context = 0;
      break;
    case Axis::tensor:
      first.tensor = 0;
      break;
    case Axis::pipeline:
      first.pipeline = 0;
      break;
    case Axis::context:
      first.context = 0;
      break;
    case Axis::expert:
      return at.pipeline * plan.stage_size() + at.expert_data * plan.expert;
  }
  return rank_of(plan, first);
}

int expert_data_colour(const ParallelPlan& plan, int rank) {
  const Coordinates at = coordinates_of(plan, rank);
  return at.pipeline * plan.stage_size() + at.expert;
}

void validate(const ParallelPlan& plan, const ModelShape& shape, int ranks_per_host) {
  constexpr int64_t kMostRanks = 1000000;
  const int64_t ranks = int64_t{plan.data} * plan.tensor * plan.pipeline * plan.context;
  if (ranks > kMostRanks || int64_t{plan.data} * plan.tensor > kMostRanks)
    refuse("dp", plan.data,
           fmt::format("x tp {} x pp {} x cp {} are more than {} ranks; use fewer", plan.tensor, plan.pipeline,
                       plan.context, kMostRanks));
  must_divide("tp", plan.tensor, {"heads", shape.heads});
  if (!shape.latent.on()) must_divide("tp", plan.tensor, {"key and value heads", shape.kv_heads});
  must_divide("tp", plan.tensor, {"rows of embedding and head", shape.vocabulary_rows()});
  if (plan.pipeline > shape.layers)
    refuse("pp", plan.pipeline, fmt::format("stages for {0} layers; use at most {0}", shape.layers));
  if (shape.sequence_length % (2 * int64_t{plan.context}) != 0 && plan.context > 1)
    refuse("cp", plan.context,
           fmt::format("ranks need two equal pieces each of a sequence of {} tokens; use {}", shape.sequence_length,
                       largest_divisor(plan.context, {shape.sequence_length / 2})));
  if (plan.expert > 1) {
    if (shape.experts == 0) refuse("ep", plan.expert, "expert-parallel ranks for a model without experts; use 1");
    must_divide("ep", plan.expert, {"experts", shape.experts});
    must_divide("ep", plan.expert, {"ranks of a pipeline stage (dp x tp x cp)", plan.stage_size()});
  }
  if (ranks <= ranks_per_host) return;
  if (ranks_per_host % plan.tensor != 0)
    refuse("tp", plan.tensor,
           fmt::format("does not divide the {} ranks of a host, so tensor groups would cross hosts; use {}",
                       ranks_per_host, largest_divisor(plan.tensor, {ranks_per_host, shape.heads})));
  if (plan.expert > 1 && ranks_per_host % plan.expert != 0 && plan.expert % ranks_per_host != 0)
    refuse("ep", plan.expert,
           fmt::format("neither divides the {} ranks of a host nor is a multiple of them; use {}", ranks_per_host,
                       largest_divisor(plan.expert, {ranks_per_host, shape.experts, plan.stage_size()})));
}

void require_trainable(const ParallelPlan& plan) {
  const std::pair<std::string_view, int> axes[] = {
      {"tp", plan.tensor}, {"pp", plan.pipeline}, {"cp", plan.context}, {"ep", plan.expert}};
  for (const auto& [axis, ranks] : axes) {
    if (ranks == 1) continue;
    refuse(
        axis, ranks,
        fmt::format("ranks: this version trains along dp alone (timetrial plan shows the others); set parallel.{} to 1",
                    axis));
  }
}

}  // namespace timetrial
