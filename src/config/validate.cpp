// Rules that bind several fields of a run.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "timetrial/base/error.h"
#include "timetrial/config/run_config.h"
#include "values.h"

namespace timetrial {

namespace {

void validate_storage(const RunConfig& run) {
  const auto check = [&](StateStorage storage, const char* path) {
    if (storage == StateStorage::wide || run.device.dtype != DType::f64) return;
    throw ConfigError(path, "bf16 in a run in double; use wide, or device.dtype f32");
  };
  check(run.train.gradient_storage, "/train/gradient_storage");
  check(run.train.moment_storage, "/train/moment_storage");
}

void validate_device(const DeviceConfig& device) {
  if (device.attention == AttentionKernels::best || device.kind == DeviceKind::cuda) return;
  throw ConfigError("/device/attention", "chooses among a GPU's kernels; leave it out, or set device.kind to cuda");
}

void validate_batches(const RunConfig& run) {
  const int64_t global = run.train.global_batch, micro = run.train.micro_batch;
  const int64_t at_once = micro * run.parallel.data;
  if (global % at_once == 0) return;
  const int64_t below = global / at_once * at_once, above = below + at_once;
  std::string smaller;  // another global batch is another training; another micro batch is not
  if (global % run.parallel.data == 0) {
    int64_t fits = std::min(micro, global / run.parallel.data);
    while (global / run.parallel.data % fits != 0) --fits;
    smaller = fmt::format("train.micro_batch={}, or ", fits);
  }
  throw ConfigError(
      "/train/global_batch",
      fmt::format("{} is not a multiple of micro_batch {} x dp {} = {}; use {}a global batch of {}{}", global, micro,
                  run.parallel.data, at_once, smaller, below > 0 ? fmt::format("{} or ", below) : "", above));
}

void validate_schedule(const TrainConfig& train) {
  if (train.decay_from == DecayFrom::start && train.decay_steps <= train.warmup_steps) {
    throw ConfigError("/train/decay_steps",
                      fmt::format("{} must be above train.warmup_steps {}; raise it (or train.max_steps, where it "
                                  "follows from that) or lower the warm-up",
                                  train.decay_steps, train.warmup_steps));
  }
  if (train.end_learning_rate > train.learning_rate) {
    throw ConfigError("/train/end_learning_rate", fmt::format("{} must not be above train.learning_rate {}; lower it",
                                                              train.end_learning_rate, train.learning_rate));
  }
}

void validate_length(const RunConfig& run) {
  const int64_t first = run.first_evaluation_step(), skipped = run.evaluation.skip_first;
  if (run.train.max_steps < first) {
    throw ConfigError(
        "/train/max_steps",
        fmt::format("{} steps end before the first evaluation, which comes after {} sequences{} = {} steps; "
                    "use at least {}, or lower evaluation.every_samples to {}",
                    run.train.max_steps, run.evaluation.every_samples * (skipped + 1),
                    skipped > 0 ? fmt::format(" ({} evaluations are skipped)", skipped) : "", first, first,
                    run.train.max_steps * run.train.global_batch / (skipped + 1)));
  }
  constexpr double kMostTokens = 4611686018427387904.0;  // 2^62
  const double tokens = static_cast<double>(run.train.max_steps) * static_cast<double>(run.train.global_batch) *
                        static_cast<double>(run.model.sequence_length);
  if (tokens > kMostTokens) {
    throw ConfigError("/train/max_steps",
                      fmt::format("{} steps of {} sequences are {:.3g} tokens, more than {:.3g} can "
                                  "be counted; lower one of them",
                                  run.train.max_steps, run.train.global_batch, tokens, kMostTokens));
  }
}

void validate_data(const DataConfig& data) {
  if (data.train_weights.empty() || data.train_weights.size() == data.train.size()) return;
  throw ConfigError("/data/train_weights",
                    fmt::format("{} weights for {} prefixes in data.train; give one each, or none for equal shares",
                                data.train_weights.size(), data.train.size()));
}

}  // namespace

void validate(const RunConfig& run) {
  if (run.name.empty()) throw ConfigError("/name", "is empty; the config file needs a name before its .json");
  config::require_loggable(run.name, "/name");
  validate(run.model, "/model");
  validate(run.parallel, run.model, run.cluster.ranks_per_host);
  validate_device(run.device);
  validate_batches(run);
  validate_storage(run);
  validate_schedule(run.train);
  validate_length(run);
  validate_data(run.data);
}

}  // namespace timetrial
