// Routers: which experts see a token and with what weight. Softmax over the top k (spec 3.2), and sigmoid scores with
// groups, a selection bias and a sequence auxiliary loss (spec 3.3 to 3.5). SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "timetrial/nn/linear.h"
#include "timetrial/parallel/expert_dispatch.h"

namespace timetrial::nn {

struct SoftmaxRouterOptions {
  int64_t hidden, experts, choices;
  bool bias = false;
  double init_std = 0, bias_init_std = 0;
};

// Both routers keep what they chose from forward to backward; a routing result is never computed again. Forward's in
// must live until backward_weights.
class SoftmaxRouter {
 public:
  // Adds "<name>.weight" (experts, hidden) and, with bias, "<name>.bias".
  SoftmaxRouter(ModuleContext& context, const std::string& name, const SoftmaxRouterOptions& options);

  void plan_forward(Plan& plan, int64_t tokens) const;
  void plan_backward(Plan& plan, int64_t tokens) const;
  Routing forward(const Tensor& in, Pass& pass) const;                              // in (N, hidden)
  void backward_input(const Tensor& d_in, const Tensor& d_gate, Pass& pass) const;  // (N, hidden), (N, k)
  void backward_weights(Pass& pass) const;

 private:
  SoftmaxRouterOptions options_;
  DType dtype_, fine_;
  Linear linear_;
  SavedId expert_, gate_, d_logits_;
};

struct SigmoidRouterOptions {
  int64_t hidden, experts, choices;
  int64_t groups, kept_groups;
  int64_t sequence_length;
  double scaling;
  double balance_coefficient = 0;  // of the sequence auxiliary loss; it enters through gradients alone
  double bias_rate = 0;            // the expert bias's step
  double init_std = 0;
};

class SigmoidRouter {
 public:
  // Adds "<name>.weight" (experts, hidden) and the buffer "<name>.expert_bias" (experts).
  SigmoidRouter(ModuleContext& context, const std::string& name, const SigmoidRouterOptions& options);

  void plan_forward(Plan& plan, int64_t tokens) const;
  void plan_backward(Plan& plan, int64_t tokens) const;
  // In training also counts the tokens of each expert for the bias's update.
  Routing forward(const Tensor& in, Pass& pass) const;
  // The auxiliary loss is a mean over sequences with the weight of the main loss: pass.loss_scale.
  void backward_input(const Tensor& d_in, const Tensor& d_gate, Pass& pass) const;
  void backward_weights(Pass& pass) const;

 private:
  bool balances(Mode mode) const { return mode == Mode::train && options_.balance_coefficient != 0; }
  int64_t sequences(int64_t tokens) const;
  double sequence_scale(const Pass& pass) const;

  SigmoidRouterOptions options_;
  DType dtype_, fine_;
  Linear linear_;
  ParamId expert_bias_;
  SavedId expert_, gate_, score_, counts_, d_logits_;
};

}  // namespace timetrial::nn
