// Small runs of the real model on made-up tokens, in any element type.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "timetrial/train/executor.h"
#include "workloads/llama31_405b/workload.h"

namespace timetrial::testing {

inline RunConfig llama_config(const std::string& variant, const Overrides& overrides = {}) {
  const auto workload = llama31_405b::make_workload();
  const Json user = {{"workload", "llama31_405b"},
                     {"variant", variant},
                     {"data", {{"train", "unused"}, {"validation", "unused"}}},
                     {"output", {{"folder", "unused"}}}};
  return parse_run_config(user, workload->benchmark(), "test", overrides);
}

inline HostBatch random_batch(const RunConfig& config, int64_t rows, uint32_t seed) {
  std::mt19937 random(seed);
  HostBatch batch{.tokens = {}, .rows = rows, .row_length = config.model.sequence_length + 1};
  for (int64_t i = 0; i < rows * batch.row_length; ++i)
    batch.tokens.push_back(static_cast<int32_t>(random() % static_cast<uint32_t>(config.model.vocabulary)));
  return batch;
}

// A model with its memory and drawn weights.
struct Machine {
  explicit Machine(const RunConfig& c)
      : config(c), model(llama31_405b::make_workload()->make_model(c, {})), executor(*model, config, {}) {
    executor.initialize(7);
  }
  double mean_loss(const HostBatch& batch) {
    return executor.evaluate(batch) / static_cast<double>(batch.rows * config.model.sequence_length);
  }
  std::vector<double> gradient(ParamId id) { return to_host(executor.parameters().grad(id), executor.stream()); }
  std::vector<double> weight(ParamId id) { return to_host(executor.parameters().weight(id), executor.stream()); }

  RunConfig config;
  std::unique_ptr<Model> model;
  Executor executor;
};

}  // namespace timetrial::testing
