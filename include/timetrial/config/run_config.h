// RunConfig: one whole training run as the user asked for it and as it will be run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "timetrial/base/attention_kernels.h"
#include "timetrial/base/device_kind.h"
#include "timetrial/base/dtype.h"
#include "timetrial/base/json.h"
#include "timetrial/config/data_order.h"
#include "timetrial/config/model_shape.h"
#include "timetrial/config/parallel_plan.h"
#include "timetrial/config/recompute.h"

namespace timetrial {

struct DataConfig {
  std::vector<std::string> train;     // path prefixes: PREFIX.idx and PREFIX.bin; several are blended
  std::vector<double> train_weights;  // one per prefix; empty: equal
  std::string validation;
  std::string checkpoint;  // folder of a checkpoint to start from; empty: weights drawn from the seed
  bool operator==(const DataConfig&) const = default;
};

// Learning rate of step k while it warms up over W steps: peak k / W, or peak (k + 1) / (W + 1), which is not zero at
// the first step (spec 8.3, 18.4).
enum class WarmUpForm { from_zero, above_zero };
// What decay_steps counts from, in the schedule and in the log: the run's start or the end of the warm-up.
enum class DecayFrom { start, warmup };

// wide: fp32, or f64 in a double run. bf16: rounded to bf16 and kept, and sent, in fp32 words on every device.
enum class StateStorage { wide, bf16 };

// Learning rate: linear to learning_rate at step warmup_steps, then cosine to end_learning_rate (spec 8.3). Batches in
// sequences.
struct TrainConfig {
  int64_t seed = 0;  // 0: drawn from the operating system's entropy when the run starts
  int64_t global_batch = 0, micro_batch = 0;
  int64_t max_steps = 0;  // the step limit; what the schedule has of it, a benchmark's decay_steps say
  double learning_rate = 0, end_learning_rate = 0;
  int64_t warmup_steps = 0, decay_steps = 0;
  WarmUpForm warmup_form = WarmUpForm::from_zero;
  DecayFrom decay_from = DecayFrom::start;
  double beta_1 = 0, beta_2 = 0, epsilon = 0, weight_decay = 0, clip_norm = 0;
  // What gradients hold after each micro batch, and moments after each update (spec 8.4).
  StateStorage gradient_storage = StateStorage::wide, moment_storage = StateStorage::wide;
  SamplerKind sampler = SamplerKind::single;
  bool operator==(const TrainConfig&) const = default;
};

struct EvaluationConfig {
  int64_t samples = 0;  // sequences per evaluation
  EvaluationOrder order = EvaluationOrder::file;
  int64_t every_samples = 0;  // training sequences between evaluations, rounded up to whole steps
  int64_t skip_first = 0;     // evaluations left out at the start
  double target = 0;          // stop when the loss (nats per token) is at most this
  bool operator==(const EvaluationConfig&) const = default;
};

struct DeviceConfig {
  DeviceKind kind = DeviceKind::cpu;
  int threads = 0;           // CPU threads of each rank; 0: one per core
  DType dtype = DType::f32;  // storage of weights and activations
  AttentionKernels attention = AttentionKernels::best;
  bool deterministic = false;  // the same bits on every run, whatever it costs; the CPU always gives them
  Recompute recompute = Recompute::off;
  bool operator==(const DeviceConfig&) const = default;
};

// How ranks are spread over hosts and talk to each other.
struct ClusterConfig {
  int ranks_per_host = 8;                          // as the plan places them
  int64_t bucket_bytes = int64_t{32} << 20;        // of gradients that are reduced at once
  double init_deadline = 600, step_deadline = 30;  // seconds; Trainer says how long a step's really is
  bool operator==(const ClusterConfig&) const = default;
};

// What the log says about who ran it.
struct SubmissionConfig {
  std::string organization, platform, division, status;  // platform empty: the worker puts the host's CPU name
  bool operator==(const SubmissionConfig&) const = default;
};

struct OutputConfig {
  std::string folder;      // result_0.txt and effective_config.json go here; must not hold a run
  std::string checkpoint;  // folder for the weights when the run is over; empty: they are not kept
  std::string checkpoint_type = "fp32";
  bool operator==(const OutputConfig&) const = default;
};

// A rule of the full benchmark, in the run's division, that this run does not keep, because its variant is smaller or
// the user changed it.
// `key` is the log key the official checker tests; expected_value gives what this run logs under it.
struct ScaledRule {
  std::string key, description;  // "steps of the learning-rate horizon: 2000 instead of 1200000"
  bool operator==(const ScaledRule&) const = default;
};

// variant "custom": some value that the rules of the run's division fix is neither the named variant's nor free
// (learning rate, batches, warm-up, seed); the open division fixes little, so an open run of "full" stays "full"
// whatever it trains. form "custom": the same for a switch that forms set, in either division. Such a text is put in by
// parse_run_config, and a config that says "custom" itself must then give every value that no default is left for.
struct RunConfig {
  std::string workload, variant, form, name;  // name: the config file's stem
  ModelShape model;
  DataConfig data;
  TrainConfig train;
  EvaluationConfig evaluation;
  ParallelPlan parallel;
  ClusterConfig cluster;
  DeviceConfig device;
  SubmissionConfig submission;
  OutputConfig output;
  std::vector<ScaledRule> scaled_rules;  // empty for the full benchmark
  bool operator==(const RunConfig&) const = default;

  int64_t accumulation() const { return train.global_batch / (train.micro_batch * parallel.data); }
  int64_t evaluation_interval_steps() const {
    return (evaluation.every_samples + train.global_batch - 1) / train.global_batch;
  }
  // Steps done at the first evaluation: (skipped ones + 1) intervals (spec 11.1).
  int64_t first_evaluation_step() const { return (evaluation.skip_first + 1) * evaluation_interval_steps(); }
};

using Overrides = std::vector<std::pair<std::string, std::string>>;  // dotted key, value as text

// "train.seed=7" -> {"train.seed", "7"}. Throws UserError when there is no '=' or no key.
std::pair<std::string, std::string> split_override(const std::string& text);

// The workload that a config file or an override names, known before its benchmark.json is. Throws ConfigError.
std::string workload_of(const Json& user, const Overrides& overrides);

// Parses `user` (a config file's content, see config_file.h) on top of the defaults that `benchmark` (the workload's
// benchmark.json) gives for the variant and form, applies `overrides`, validates. Keys may be nested or dotted. Throws
// ConfigError with the JSON path for unknown keys (naming the nearest), wrong types, values out of range, values
// missing or given twice, and batches that do not divide.
RunConfig parse_run_config(const Json& user, const Json& benchmark, const std::string& name,
                           const Overrides& overrides);

// Why a run cannot be the full benchmark in the division it claims: one line per value, with the JSON path, the value
// and what the rules fix. Empty when the config names another variant than the full one: such a run claims nothing. In
// the open division only what its rule file limits is fixed (/mlperf/rules with "open"). In the closed one: the forms
// that are benchmark runs, where the weights come from, every value that the benchmark does not leave free, lists of
// allowed values, the smallest batch, the training files, and a batch whose learning rate can hold a rule that compares
// doubles. `user`, `benchmark` and `overrides` are those that `run` was parsed from.
std::vector<std::string> rule_breaches(const Json& user, const Json& benchmark, const Overrides& overrides,
                                       const RunConfig& run);

// Cross-field rules alone; parse_run_config has called it. Throws ConfigError.
void validate(const RunConfig& config);

// The whole run as JSON, every field with its effective value, keys in a fixed order; parse_run_config accepts it
// again and gives an equal RunConfig. No text in it holds a word that log readers search for.
Json effective_json(const RunConfig& config);

// hash_text of effective_json without what a run has of its own: output.folder, train.seed, and submission.platform,
// which the worker fills in. Two runs with the same hash asked for the same work, so the runs of one result share it,
// and the plan's is the log's.
std::string config_hash(const RunConfig& config);

// What a rule-abiding log of this run holds under an official log key (max_sequence_length, eval_samples, max_steps,
// ...; for the accuracy key the target). Throws Error for a key that is no rule's.
Json expected_value(const RunConfig& config, const std::string& log_key);

// One line per field: key, type and range, default, meaning; from the same table that parses.
std::string config_help();

}  // namespace timetrial
