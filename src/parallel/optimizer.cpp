// One optimizer step over the flat groups.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/parallel/optimizer.h"

#include <cmath>
#include <cstring>

namespace timetrial {

namespace {

DType fine_type(const ParameterStore& store) { return store.groups().front().gradients.dtype(); }

}  // namespace

ops::StepScalars step_scalars(const OptimizerSettings& settings, double learning_rate, int64_t step) {
  const auto t = static_cast<double>(step + 1);
  return {.learning_rate = static_cast<float>(learning_rate),
          .bias_1 = static_cast<float>(1 - std::pow(settings.beta_1, t)),
          .bias_2 = static_cast<float>(1 - std::pow(settings.beta_2, t)),
          .step = step};
}

Optimizer::Optimizer(ParameterStore& store, const OptimizerSettings& settings, Device device)
    : store_(store),
      settings_(settings),
      squared_(fine_type(store), {1}, device),
      partials_(DType::f64, {device.kind == DeviceKind::cuda ? ops::kNormPartials : 0}, device),
      norm_(fine_type(store), {1}, device),
      coefficient_(fine_type(store), {1}, device),
      scalars_(DType::i32, {static_cast<int64_t>(sizeof(ops::StepScalars) / sizeof(int32_t))}, device),
      scalars_upload_(device, sizeof(ops::StepScalars)) {}

void Optimizer::set_scalars(const ops::StepScalars& scalars, StreamRef stream) {
  std::memcpy(scalars_upload_.fill(), &scalars, sizeof(scalars));
  scalars_upload_.send(scalars_.view().raw(), sizeof(scalars), stream);
}

void Optimizer::update(StreamRef stream, const SumOverRanks& sum_over_ranks) {
  fill_zero(squared_.view().raw(), squared_.view().bytes(), stream);
  for (const ParameterStore::Group& group : store_.groups()) {
    const Tensor gradient = group.gradients.rows(group.shard_begin, group.shard_end);
    ops::squared_norm({.out = squared_, .gradient = gradient, .workspace = partials_}, group.segments, stream);
  }
  if (sum_over_ranks) sum_over_ranks(squared_);
  ops::clip_coefficient(
      {.norm = norm_, .coefficient = coefficient_, .squared = squared_, .clip_norm = settings_.clip_norm}, stream);
  for (const ParameterStore::Group& group : store_.groups()) {
    ops::adamw({.weight = group.weights.rows(group.shard_begin, group.shard_end),
                .master = group.master,
                .moment_1 = group.moment_1,
                .moment_2 = group.moment_2,
                .gradient = group.gradients.rows(group.shard_begin, group.shard_end),
                .coefficient = coefficient_,
                .scalars = scalars_,
                .beta_1 = settings_.beta_1,
                .beta_2 = settings_.beta_2,
                .epsilon = settings_.epsilon,
                .weight_decay = settings_.weight_decay},
               group.segments, stream);
  }
}

}  // namespace timetrial
