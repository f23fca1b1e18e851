// Linear's three products.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/nn/linear.h"

#include "timetrial/ops/matmul.h"

namespace timetrial::nn {

Linear::Linear(ModuleContext& context, const std::string& name, const LinearOptions& o)
    : in_(context.saved()), d_out_(context.saved()), device_(context.device), libraries_(context.libraries) {
  weight_ = context.parameters.add({.name = name + ".weight",
                                    .shape = {o.outputs, o.inputs},
                                    .uses = o.uses,
                                    .init = {.standard_deviation = o.init_std}});
  if (o.bias)
    bias_ = context.parameters.add({.name = name + ".bias",
                                    .shape = {o.outputs},
                                    .decay = false,
                                    .uses = o.uses,
                                    .init = {.standard_deviation = o.bias_init_std}});
}

Linear::Linear(ModuleContext& context, const Linear& tied)
    : weight_(tied.weight_),
      bias_(tied.bias_),
      in_(context.saved()),
      d_out_(context.saved()),
      device_(tied.device_),
      libraries_(tied.libraries_) {}

void Linear::plan_forward(Plan& plan, int64_t) const { plan.workspace(ops::matmul_workspace_bytes(device_)); }

void Linear::forward(const Tensor& out, const Tensor& in, Pass& pass) const {
  pass.refer(in_, in);
  ops::matmul({.c = out,
               .a = in,
               .b = pass.weight(weight_),
               .transpose_b = true,
               .bias = bias_ ? pass.weight(*bias_) : Tensor(),
               .workspace = pass.workspace,
               .libraries = libraries_.get()},
              pass.stream);
}

void Linear::backward_input(const Tensor& d_in, const Tensor& d_out, Pass& pass) const {
  pass.deferred.refer(d_out_, d_out);
  ops::matmul(
      {.c = d_in, .a = d_out, .b = pass.weight(weight_), .workspace = pass.workspace, .libraries = libraries_.get()},
      pass.stream);
}

void Linear::backward_weights(Pass& pass) const {
  ops::matmul({.c = pass.parameters.grad(weight_),
               .a = pass.deferred.saved(d_out_),
               .b = pass.stash.saved(in_),
               .transpose_a = true,
               .accumulate = true,
               .d_bias = bias_ ? pass.parameters.grad(*bias_) : Tensor(),
               .workspace = pass.workspace,
               .libraries = libraries_.get()},
              pass.stream);
  pass.parameters.grad_ready(weight_);
  if (bias_) pass.parameters.grad_ready(*bias_);
}

}  // namespace timetrial::nn
