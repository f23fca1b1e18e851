// Small runs of the real model on made-up tokens, in any element type.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "timetrial/train/executor.h"
#include "workloads/deepseekv3_671b/workload.h"

namespace timetrial::testing {

// Later overrides win.
inline RunConfig small_config(const std::string& variant, const Overrides& overrides = {}) {
  const auto workload = deepseekv3_671b::make_workload();
  const Json user = {{"workload", "deepseekv3_671b"},
                     {"variant", variant},
                     {"data", {{"train", "unused"}, {"validation", "unused"}}},
                     {"output", {{"folder", "unused"}}}};
  Overrides last;
  for (const auto& [key, value] : overrides) {
    std::erase_if(last, [&key = key](const auto& entry) { return entry.first == key; });
    last.emplace_back(key, value);
  }
  return parse_run_config(user, workload->benchmark(), "test", last);
}

// A shape of a few thousand parameters with every structural feature, in double, without storage rounding.
inline RunConfig tiny_config(const Overrides& more = {}) {
  Overrides overrides = {{"model.layers", "3"},
                         {"model.hidden", "12"},
                         {"model.heads", "2"},
                         {"model.kv_heads", "2"},
                         {"model.head_dim", "10"},
                         {"model.latent.query_rank", "7"},
                         {"model.latent.kv_rank", "6"},
                         {"model.latent.nope_dim", "6"},
                         {"model.latent.rope_dim", "4"},
                         {"model.latent.value_dim", "5"},
                         {"model.dense_ffn", "9"},
                         {"model.experts", "8"},
                         {"model.ffn", "5"},
                         {"model.shared_ffn", "5"},
                         {"model.vocabulary", "23"},
                         {"model.sequence_length", "7"},
                         {"model.init_std", "0.3"},
                         {"model.router.aux_loss", "0.05"},
                         {"model.multi_token.weight", "0.3"},
                         {"device.dtype", "f64"},
                         {"train.gradient_storage", "wide"},
                         {"train.moment_storage", "wide"},
                         {"train.global_batch", "2"},
                         {"train.micro_batch", "2"},
                         {"evaluation.every_samples", "1"}};
  overrides.insert(overrides.end(), more.begin(), more.end());
  return small_config("1m", overrides);
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
      : config(c), model(deepseekv3_671b::make_workload()->make_model(c, {})), executor(*model, config, {}) {
    executor.initialize(7);
  }
  double mean_loss(const HostBatch& batch) {
    return executor.evaluate(batch) / static_cast<double>(batch.rows * config.model.sequence_length);
  }
  const std::vector<ParameterSpec>& specs() const { return model->parameters().specs(); }
  int size() const { return model->parameters().size(); }
  std::vector<double> gradient(ParamId id) { return to_host(executor.parameters().grad(id), executor.stream()); }
  std::vector<double> weight(ParamId id) { return to_host(executor.parameters().weight(id), executor.stream()); }
  void set_weight(ParamId id, const std::vector<double>& values) {
    from_host(executor.parameters().weight(id), values, executor.stream());
  }
  ParamId find(const std::string& name) const {
    for (int i = 0; i < size(); ++i)
      if (specs()[static_cast<size_t>(i)].name == name) return {i};
    throw Error("no parameter " + name);
  }
  // Biases start at 0 and norms at 1, where mistakes hide: moves everything off its start.
  void shake(double spread) {
    std::mt19937 random(3);
    std::normal_distribution<double> normal;
    for (int i = 0; i < size(); ++i) {
      std::vector<double> values = weight({i});
      for (double& value : values) value += spread * normal(random);
      set_weight({i}, values);
    }
  }
  std::vector<double> all_gradients() {
    std::vector<double> all;
    for (int i = 0; i < size(); ++i) {
      if (!specs()[static_cast<size_t>(i)].trainable) continue;
      const std::vector<double> one = gradient({i});
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  }

  RunConfig config;
  std::unique_ptr<Model> model;
  Executor executor;
};

}  // namespace timetrial::testing
