// Optimizer: global gradient norm, clip and AdamW over this rank's shard of every flat parameter group (spec 8.1, 8.2).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "timetrial/device/upload.h"
#include "timetrial/parallel/parameters.h"

namespace timetrial {

struct OptimizerSettings {
  double beta_1, beta_2, epsilon, weight_decay, clip_norm;
};

// Allocates only in the constructor; update() queues on the stream and returns.
class Optimizer {
 public:
  Optimizer(ParameterStore& store, const OptimizerSettings& settings, Device device);

  // Queues the step's values into device memory.
  void set_scalars(const ops::StepScalars& scalars, StreamRef stream);
  // Makes a tensor its sum over all ranks, in place, before anything later on the stream.
  using SumOverRanks = std::function<void(const Tensor&)>;
  // norm -> clip -> AdamW. This rank's shard of the gradients must be complete. The norm is that of all shards: squares
  // are summed by `sum_over_ranks`; none where this rank holds all of them.
  void update(StreamRef stream, const SumOverRanks& sum_over_ranks = {});
  // The global gradient norm before clipping, on the device; valid after update().
  Tensor gradient_norm() const { return norm_.view(); }

 private:
  ParameterStore& store_;
  OptimizerSettings settings_;
  OwnedTensor squared_, partials_, norm_, coefficient_, scalars_;
  Upload scalars_upload_;
};

// bias_1 and bias_2 of step k (0-based): 1 - beta^(k+1), computed in double.
ops::StepScalars step_scalars(const OptimizerSettings& settings, double learning_rate, int64_t step);

}  // namespace timetrial
