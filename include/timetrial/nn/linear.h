// Linear: out = in W^T + b, the weight stored as (outputs, inputs).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "timetrial/parallel/pass.h"

namespace timetrial::nn {

struct LinearOptions {
  int64_t inputs, outputs;
  bool bias = false;
  double init_std = 0;
  double bias_init_std = 0;
  int uses = 1;  // places of the model that use these weights
};

// Every block of nn has these members; see docs/architecture.md, "Modules". Rows are tokens.
class Linear {
 public:
  Linear(ModuleContext& context, const std::string& name, const LinearOptions& options);
  // The same weights at another place of the model.
  Linear(ModuleContext& context, const Linear& tied);

  // Keeps references only; the workspace is that of all three products.
  void plan_forward(Plan& plan, int64_t tokens) const;
  void plan_backward(Plan&, int64_t) const {}
  // out (N, outputs), in (N, inputs). `in` must live until backward_weights.
  void forward(const Tensor& out, const Tensor& in, Pass& pass) const;
  // d_in is overwritten. `d_out` must live until backward_weights.
  void backward_input(const Tensor& d_in, const Tensor& d_out, Pass& pass) const;
  void backward_weights(Pass& pass) const;

 private:
  ParamId weight_;
  std::optional<ParamId> bias_;
  SavedId in_, d_out_;
  Device device_;
  std::shared_ptr<ops::Libraries> libraries_;
};

}  // namespace timetrial::nn
