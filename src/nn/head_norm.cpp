// HeadNorm over the QK-norm op.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/nn/head_norm.h"

#include "timetrial/ops/head_norm.h"

namespace timetrial::nn {

HeadNorm::HeadNorm(ModuleContext& context, const std::string& name, const HeadNormOptions& options)
    : options_(options), fine_(context.fine()), in_(context.saved()), rstd_(context.saved()), d_out_(context.saved()) {
  const auto add = [&](const char* kind) {
    return context.parameters.add(
        {.name = name + kind, .shape = {options.head_dim}, .decay = false, .init = {.constant = 1}});
  };
  q_weight_ = add(".q_norm.weight");
  k_weight_ = add(".k_norm.weight");
}

void HeadNorm::plan_forward(Plan& plan, int64_t tokens) const {
  plan.keep(rstd_, fine_, statistics(tokens), Keep::product);
}

void HeadNorm::forward(const Kept& out, const Tensor& in, Pass& pass) const {
  pass.refer(in_, in);
  const Tensor rstd = pass.keep(rstd_, fine_, statistics(in.dim(0)), Keep::product);
  if (out.there) return;
  ops::head_norm_forward({.out = out,
                          .rstd = rstd,
                          .x = in,
                          .q_weight = pass.weight(q_weight_),
                          .k_weight = pass.weight(k_weight_),
                          .heads = options_.heads,
                          .epsilon = options_.epsilon},
                         pass.stream);
}

void HeadNorm::backward_input(const Tensor& d_in, const Tensor& d_out, Pass& pass) const {
  pass.deferred.refer(d_out_, d_out);
  ops::head_norm_backward_input({.d_x = d_in,
                                 .d_out = d_out,
                                 .x = pass.saved(in_),
                                 .rstd = pass.saved(rstd_),
                                 .q_weight = pass.weight(q_weight_),
                                 .k_weight = pass.weight(k_weight_),
                                 .heads = options_.heads},
                                pass.stream);
}

void HeadNorm::backward_weights(Pass& pass) const {
  ops::head_norm_backward_weight({.d_q_weight = pass.parameters.grad(q_weight_),
                                  .d_k_weight = pass.parameters.grad(k_weight_),
                                  .d_out = pass.deferred.saved(d_out_),
                                  .x = pass.saved(in_),
                                  .rstd = pass.saved(rstd_),
                                  .heads = options_.heads,
                                  .workspace = pass.workspace},
                                 pass.stream);
  pass.parameters.grad_ready(q_weight_);
  pass.parameters.grad_ready(k_weight_);
}

}  // namespace timetrial::nn
