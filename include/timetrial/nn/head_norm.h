// HeadNorm: QK-norm, RMSNorm over the channels of each query and key head, before rotation (spec 2.3).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "timetrial/parallel/pass.h"

namespace timetrial::nn {

struct HeadNormOptions {
  int64_t heads, kv_heads, head_dim;
  double epsilon;
};

// Rows are fused projections (N, W): query heads, key heads, values; values pass unchanged. One learned weight
// (head_dim) for all query heads, one for all key heads, both starting at 1 and without weight decay. Forward's in and
// backward_input's d_out must live until backward_weights.
class HeadNorm {
 public:
  // Adds parameters "<name>.q_norm.weight" and "<name>.k_norm.weight".
  HeadNorm(ModuleContext& context, const std::string& name, const HeadNormOptions& options);

  void plan_forward(Plan& plan, int64_t tokens) const;
  void plan_backward(Plan&, int64_t) const {}
  void forward(const Kept& out, const Tensor& in, Pass& pass) const;               // (N, W) both; out is not in
  void backward_input(const Tensor& d_in, const Tensor& d_out, Pass& pass) const;  // d_in is overwritten, not d_out
  void backward_weights(Pass& pass) const;

 private:
  Shape statistics(int64_t tokens) const { return {tokens, options_.heads + options_.kv_heads}; }

  HeadNormOptions options_;
  DType fine_;
  ParamId q_weight_, k_weight_;
  SavedId in_, rstd_, d_out_;
};

}  // namespace timetrial::nn
