// Norm over the RMSNorm op.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/nn/norm.h"

#include "timetrial/ops/rms_norm.h"

namespace timetrial::nn {

Norm::Norm(ModuleContext& context, const std::string& name, int64_t width, double epsilon)
    : fine_(context.fine()), epsilon_(epsilon), in_(context.saved()), rstd_(context.saved()), d_out_(context.saved()) {
  weight_ =
      context.parameters.add({.name = name + ".weight", .shape = {width}, .decay = false, .init = {.constant = 1}});
}

void Norm::plan_forward(Plan& plan, int64_t tokens) const { plan.keep(rstd_, fine_, {tokens}); }

// A replay writes the statistics once more: the same bits.
void Norm::forward(const Kept& out, const Tensor& in, Pass& pass) const {
  pass.refer(in_, in);
  const Tensor rstd = pass.keep(rstd_, fine_, {in.dim(0)});
  if (out.there) return;
  ops::rms_norm_forward({.out = out, .rstd = rstd, .x = in, .weight = pass.weight(weight_), .epsilon = epsilon_},
                        pass.stream);
}

void Norm::backward_input(const Tensor& d_in, const Tensor& d_out, Pass& pass) const {
  pass.deferred.refer(d_out_, d_out);
  ops::rms_norm_backward_input(
      {.d_x = d_in, .d_out = d_out, .x = pass.saved(in_), .rstd = pass.saved(rstd_), .weight = pass.weight(weight_)},
      pass.stream);
}

void Norm::backward_weights(Pass& pass) const {
  ops::rms_norm_backward_weight({.d_weight = pass.parameters.grad(weight_),
                                 .d_out = pass.deferred.saved(d_out_),
                                 .x = pass.saved(in_),
                                 .rstd = pass.saved(rstd_)},
                                pass.stream);
  pass.parameters.grad_ready(weight_);
}

}  // namespace timetrial::nn
