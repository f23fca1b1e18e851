// Bytes by kind.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/memory_plan.h"

#include <algorithm>

#include "timetrial/config/pipeline_schedule.h"

namespace timetrial {

size_t MemoryPlan::total() const {
  size_t sum = 0;
  for (const auto& [name, bytes] : rows()) sum += bytes;
  return sum;
}

std::vector<std::pair<std::string, size_t>> MemoryPlan::rows() const {
  std::vector<std::pair<std::string, size_t>> rows = {{"weights", parameters.weights},
                                                      {"master weights", parameters.master},
                                                      {"gradients", parameters.gradients},
                                                      {"moments", parameters.moments},
                                                      {"expert biases and counts", parameters.buffers},
                                                      {"saved activations", activations},
                                                      {"gradients and replay of a layer", deferred},
                                                      {"scratch", scratch},
                                                      {"library workspace", workspace},
                                                      {"staging", staging}};
  if (on_host) rows.emplace_back(kDataRow, data);
  return rows;
}

size_t ExecutionPlan::scratch_bytes() const { return std::max(train.scratch_bytes(), evaluate.scratch_bytes()); }

size_t ExecutionPlan::workspace_bytes() const { return std::max(train.workspace_bytes(), evaluate.workspace_bytes()); }

ExecutionPlan plan_execution(const Model& model, int64_t tokens, Recompute recompute) {
  ExecutionPlan plan{.train = Plan(Mode::train, recompute)};
  model.plan_forward(plan.train, tokens);
  model.plan_backward(plan.train, tokens);
  model.plan_forward(plan.evaluate, tokens);
  return plan;
}

OptimizerShard optimizer_shard(const RunConfig& config, int data_rank) {
  const int64_t bytes = config.device.dtype == DType::f64 ? 8 : 4;  // of a gradient
  return {.index = data_rank,
          .count = config.parallel.data,
          .bucket_elements = std::max<int64_t>(config.cluster.bucket_bytes / bytes, 1)};
}

MemoryPlan plan_memory(const Model& model, const RunConfig& config, size_t data) {
  const int64_t tokens = config.train.micro_batch * config.model.sequence_length;
  const auto micros = static_cast<int>(config.accumulation());
  const ExecutionPlan plan = plan_execution(model, tokens, config.device.recompute);
  const int slots = slots_in_flight(make_accumulate_schedule(micros));
  const size_t fine = config.device.dtype == DType::f64 ? 8 : 4;
  // Two more sets of tokens wait on the host, which is this rank's memory where it computes there.
  const size_t sets = config.device.kind == DeviceKind::cpu ? 3 : 1;
  return {.parameters = ParameterStore::memory(model.parameters(), config.device.dtype, optimizer_shard(config, 0)),
          .activations = plan.train.kept_bytes() * static_cast<size_t>(slots),
          .deferred = plan.train.deferred_bytes(),
          .scratch = plan.scratch_bytes(),
          .workspace = plan.workspace_bytes(),
          .staging = static_cast<size_t>(tokens) * (sets * 2 * sizeof(int32_t) * static_cast<size_t>(micros) + fine),
          .data = data,
          .on_host = config.device.kind == DeviceKind::cpu};
}

}  // namespace timetrial
