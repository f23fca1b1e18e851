// Axes, hosts and traffic as tables.
// SPDX-License-Identifier: Apache-2.0
#include "apps/plan_ranks.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "apps/plan_print.h"
#include "timetrial/parallel/buckets.h"

namespace timetrial::apps {

namespace {

struct Group {
  const char* name;
  int ranks, stride, number;  // ranks of a group, distance between neighbours in it, and how many such groups there are
};

std::vector<Group> groups_of(const ParallelPlan& plan) {
  const int world = plan.world_size();
  const auto group = [&](const char* name, int ranks, int stride) { return Group{name, ranks, stride, world / ranks}; };
  std::vector<Group> all = {group("tensor (tp)", plan.tensor, 1),
                            group("context (cp)", plan.context, plan.tensor),
                            group("data (dp)", plan.data, plan.tensor * plan.context),
                            group("pipeline (pp)", plan.pipeline, plan.stage_size()),
                            group("experts (ep)", plan.expert, 1),
                            group("same experts", plan.expert_data(), plan.expert)};
  return all;
}

// Hosts that a group touches: it begins at a multiple of its own extent, as all groups of an axis do.
int hosts_of(const Group& group, int ranks_per_host) {
  const int extent = (group.ranks - 1) * group.stride + 1;
  return group.ranks == 1 || ranks_per_host % (group.ranks * group.stride) == 0
             ? 1
             : std::min(group.ranks, (extent + ranks_per_host - 1) / ranks_per_host);
}

}  // namespace

std::vector<Traffic> traffic_of_step(const RunConfig& config, const Model& model) {
  std::vector<Traffic> all;
  const int ranks = config.parallel.data;
  if (ranks == 1 || ranks != config.parallel.world_size() || config.parallel.expert > 1) return all;
  const std::vector<BucketSize> buckets = bucket_sizes(model.parameters(), optimizer_shard(config, 0));
  const size_t weight = size_of(config.device.dtype), fine = config.device.dtype == DType::f64 ? 8 : 4;
  const auto add = [&](Traffic traffic, ReduceGroup group, size_t element) {
    for (const BucketSize& bucket : buckets) {
      if (bucket.reduce != group) continue;
      const size_t bytes = static_cast<size_t>(bucket.elements) * element;
      ++traffic.calls;
      traffic.bytes += bytes;
      traffic.largest = std::max(traffic.largest, bytes);
    }
    if (traffic.calls > 0) all.push_back(std::move(traffic));
  };
  for (const auto& [group, name] :
       {std::pair(ReduceGroup::dense, "data"), std::pair(ReduceGroup::expert, "same experts")}) {
    add({"reduce_scatter", "gradients", name, ranks, 0, 0, 0}, group, fine);
    add({"all_gather", "weights", name, ranks, 0, 0, 0}, group, weight);
  }
  all.push_back({"all_reduce", "loss, norm", "data", ranks, 2, 2 * fine, fine});
  all.push_back({"all_reduce", "signal", "world", config.parallel.world_size(), 1, sizeof(int32_t), sizeof(int32_t)});
  size_t counts = 0;
  for (const ExpertBias& bias : model.parameters().expert_biases())
    counts += static_cast<size_t>(model.parameters()[bias.id].shape.elements()) * sizeof(int32_t);
  if (counts > 0) all.push_back({"all_reduce", "tokens of each expert", "data", ranks, 1, counts, counts});
  return all;
}

std::string ranks_text(const RunConfig& config, const Model& model) {
  const ParallelPlan& plan = config.parallel;
  if (plan.world_size() == 1) return "";
  const int per_host = std::min(config.cluster.ranks_per_host, plan.world_size());
  std::string text = fmt::format("Ranks: {} on {} hosts of {}\n", plan.world_size(),
                                 (plan.world_size() + per_host - 1) / per_host, per_host);
  text += fmt::format("  {:<22}{:>8}{:>10}{:>10}{:>16}\n", "group", "ranks", "groups", "stride", "hosts");
  for (const Group& group : groups_of(plan))
    text += fmt::format("  {:<22}{:>8}{:>10}{:>10}{:>16}\n", group.name, group.ranks, group.number, group.stride,
                        group.ranks == 1 ? "-" : std::to_string(hosts_of(group, per_host)));
  const std::vector<Traffic> traffic = traffic_of_step(config, model);
  if (!traffic.empty()) {
    text += "Traffic per rank and step\n";
    text += fmt::format("  {:<16}{:<24}{:<14}{:>6}{:>8}{:>12}{:>12}\n", "collective", "of", "group", "ranks", "calls",
                        "largest", "together");
    for (const Traffic& t : traffic)
      text += fmt::format("  {:<16}{:<24}{:<14}{:>6}{:>8}{:>12}{:>12}\n", t.collective, t.purpose, t.group, t.ranks,
                          t.calls, bytes_text(t.largest), bytes_text(t.bytes));
  }
  return text;
}

Json ranks_json(const RunConfig& config, const Model& model) {
  Json traffic = Json::array();
  for (const Traffic& t : traffic_of_step(config, model))
    traffic.push_back({{"collective", t.collective},
                       {"of", t.purpose},
                       {"group", t.group},
                       {"ranks", t.ranks},
                       {"calls", t.calls},
                       {"bytes", t.bytes},
                       {"largest", t.largest}});
  Json groups = Json::array();
  for (const Group& group : groups_of(config.parallel))
    groups.push_back({{"name", group.name},
                      {"ranks", group.ranks},
                      {"groups", group.number},
                      {"stride", group.stride},
                      {"hosts", hosts_of(group, config.cluster.ranks_per_host)}});
  return {{"world_size", config.parallel.world_size()}, {"groups", groups}, {"traffic_per_step", traffic}};
}

std::string rank_map_text(const RunConfig& config) {
  const ParallelPlan& plan = config.parallel;
  fmt::memory_buffer text;
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}{:>14}\n", "rank", "host", "local", "dp", "tp", "pp",
                 "cp", "ep", "same experts");
  for (int rank = 0; rank < plan.world_size(); ++rank) {
    const Coordinates at = coordinates_of(plan, rank);
    fmt::format_to(out, "{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}{:>14}\n", rank, rank / config.cluster.ranks_per_host,
                   rank % config.cluster.ranks_per_host, at.data, at.tensor, at.pipeline, at.context, at.expert,
                   at.expert_data);
  }
  return fmt::to_string(text);
}

}  // namespace timetrial::apps
