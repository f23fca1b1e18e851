// RunConfig: one whole training run as the user asked for it and as it will be run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "timetrial/base/device_kind.h"
#include "timetrial/base/dtype.h"
#include "timetrial/base/json.h"
#include "timetrial/config/model_shape.h"
#include "timetrial/config/parallel_plan.h"

namespace timetrial {

struct DataConfig {
  std::string train, validation;  // path prefixes: PREFIX.idx and PREFIX.bin
};

// Learning rate: linear from 0 at step 0 to learning_rate at step warmup_steps, then cosine to end_learning_rate at
// step decay_steps (spec 8.3). Batches in sequences.
struct TrainConfig {
  int64_t seed = 0;  // 0: drawn from the operating system's entropy when the run starts
  int64_t global_batch = 0, micro_batch = 0;
  int64_t max_steps = 0;  // the schedule's horizon and the step limit
  double learning_rate = 0, end_learning_rate = 0;
  int64_t warmup_steps = 0, decay_steps = 0;
  double beta_1 = 0, beta_2 = 0, epsilon = 0, weight_decay = 0, clip_norm = 0;
};

struct EvaluationConfig {
  int64_t samples = 0;        // sequences per evaluation: the first ones of the validation order
  int64_t every_samples = 0;  // training sequences between evaluations, rounded up to whole steps
  double target = 0;          // stop when the loss (nats per token) is at most this
};

struct DeviceConfig {
  DeviceKind kind = DeviceKind::cpu;
  int threads = 0;           // CPU threads of each rank; 0: one per core
  DType dtype = DType::f32;  // storage of weights and activations
};

// What the log says about who ran it.
struct SubmissionConfig {
  std::string organization, platform, division, status;
};

struct OutputConfig {
  std::string folder;  // result_0.txt and effective_config.json go here; must not hold a run
};

// A rule of the full benchmark that a small variant changes on purpose. `key` is the log key the official checker
// tests.
struct ScaledRule {
  std::string key, description;
};

struct RunConfig {
  std::string workload, variant, form, name;  // name: the config file's stem
  ModelShape model;
  DataConfig data;
  TrainConfig train;
  EvaluationConfig evaluation;
  ParallelPlan parallel;
  DeviceConfig device;
  SubmissionConfig submission;
  OutputConfig output;
  std::vector<ScaledRule> scaled_rules;  // of the variant; empty for the full benchmark

  int64_t accumulation() const { return train.global_batch / (train.micro_batch * parallel.data); }
  int64_t evaluation_interval_steps() const {
    return (evaluation.every_samples + train.global_batch - 1) / train.global_batch;
  }
};

// Parses `user` (a config file's content) on top of the defaults that `benchmark` (the workload's benchmark.json) gives
// for the variant and form, applies `overrides` ("train.seed", "7"), validates. Throws ConfigError with the JSON path
// for unknown keys (naming the nearest), wrong types, values out of range and batches that do not divide.
RunConfig parse_run_config(const Json& user, const Json& benchmark, const std::string& name,
                           const std::vector<std::pair<std::string, std::string>>& overrides);

// The whole run as JSON, every field with its effective value, keys in a fixed order; parse_run_config accepts it
// again.
Json effective_json(const RunConfig& config);

// hash_text of effective_json without output.folder: two runs with the same hash asked for the same work.
std::string config_hash(const RunConfig& config);

// One line per field: key, type, meaning, default; from the same table that parses.
std::string config_help();

}  // namespace timetrial
