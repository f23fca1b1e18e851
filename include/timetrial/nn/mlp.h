// Mlp: the dense gated feed-forward, fc2(activation(fc1 x)); also the shared expert of a mixture (spec 1.1, 1.3).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "timetrial/nn/linear.h"
#include "timetrial/ops/gated_activation.h"

namespace timetrial::nn {

struct MlpOptions {
  int64_t hidden, ffn;
  ops::GatedActivationKind activation = ops::GatedActivationKind::swiglu;
  double init_std = 0, output_init_std = 0;  // of fc1, of fc2
};

// No biases. Forward's in and backward_input's d_out must live until backward_weights.
class Mlp {
 public:
  // Adds parameters "<name>.fc1.weight" (2 ffn, hidden), rows [gate ; up], and "<name>.fc2.weight" (hidden, ffn).
  Mlp(ModuleContext& context, const std::string& name, const MlpOptions& options);

  void plan_forward(Plan& plan, int64_t tokens) const;
  void plan_backward(Plan& plan, int64_t tokens) const;
  void forward(const Kept& out, const Tensor& in, Pass& pass) const;               // (N, hidden) both
  void backward_input(const Tensor& d_in, const Tensor& d_out, Pass& pass) const;  // d_in is overwritten
  void backward_weights(Pass& pass) const;

 private:
  MlpOptions options_;
  DType dtype_;
  Linear fc1_, fc2_;
  SavedId hidden_, activated_, d_hidden_;
};

}  // namespace timetrial::nn
