// MemoryPlan: bytes of one rank by kind, from the modules' own plans; nothing is allocated to find out.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "timetrial/train/model.h"

namespace timetrial {

inline constexpr char kDataRow[] = "data index and sample order";

struct MemoryPlan {
  ParameterMemory parameters;
  size_t activations = 0;  // kept from forward to backward, all stash slots
  size_t deferred = 0;     // kept from input gradients to weight gradients of one layer, and made again for it
  size_t scratch = 0;
  size_t workspace = 0;  // of library calls
  size_t staging = 0;    // tokens, labels, losses of a step
  size_t data = 0;       // indices of the data and the order of samples, on the host whatever computes
  bool on_host = true;   // the rank computes there too
  size_t total() const;  // of what the rank computes on: with `data` where that is the host
  size_t host() const { return on_host ? total() : data; }
  // "weights" -> bytes and so on, in the order they print.
  std::vector<std::pair<std::string, size_t>> rows() const;
};

// The plans of training and evaluating a model at this many tokens per micro batch.
struct ExecutionPlan {
  Plan train, evaluate{Mode::evaluate};
  size_t scratch_bytes() const;
  size_t workspace_bytes() const;
};
ExecutionPlan plan_execution(const Model& model, int64_t tokens, Recompute recompute = Recompute::off);

// The optimizer's shard of a data rank.
OptimizerShard optimizer_shard(const RunConfig& config, int data_rank);

// `data`: planned_data_bytes of the rank's data; 0 where its files are not known.
MemoryPlan plan_memory(const Model& model, const RunConfig& config, size_t data = 0);

}  // namespace timetrial
