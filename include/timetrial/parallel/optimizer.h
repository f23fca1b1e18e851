// Optimizer: global gradient norm, clip and AdamW over this rank's shard of every flat parameter group (spec 8.1, 8.2).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/parallel/parameters.h"

namespace timetrial {

struct OptimizerSettings {
  double beta_1, beta_2, epsilon, weight_decay, clip_norm;
};

// Allocates only in the constructor; update() queues on the stream and returns.
class Optimizer {
 public:
  Optimizer(ParameterStore& store, const OptimizerSettings& settings, Device device);

  // Copies the step's values into device memory.
  void set_scalars(const ops::StepScalars& scalars, StreamRef stream);
  // norm -> clip -> AdamW. Gradients must be complete.
  void update(StreamRef stream);
  // The global gradient norm before clipping, on the device; valid after update().
  Tensor gradient_norm() const { return norm_.view(); }

 private:
  ParameterStore& store_;
  OptimizerSettings settings_;
  OwnedTensor squared_, norm_, coefficient_, scalars_;
};

// bias_1 and bias_2 of step k (0-based): 1 - beta^(k+1), computed in double.
ops::StepScalars step_scalars(const OptimizerSettings& settings, double learning_rate, int64_t step);

}  // namespace timetrial
