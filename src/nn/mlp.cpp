// Two products with a gated activation between them, and the way back.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/nn/mlp.h"

namespace timetrial::nn {

Mlp::Mlp(ModuleContext& context, const std::string& name, const MlpOptions& o)
    : options_(o),
      dtype_(context.dtype),
      fc1_(context, name + ".fc1", {.inputs = o.hidden, .outputs = 2 * o.ffn, .init_std = o.init_std}),
      fc2_(context, name + ".fc2", {.inputs = o.ffn, .outputs = o.hidden, .init_std = o.output_init_std}),
      hidden_(context.saved()),
      activated_(context.saved()),
      d_hidden_(context.saved()) {}

void Mlp::plan_forward(Plan& plan, int64_t tokens) const {
  plan.keep(hidden_, dtype_, {tokens, 2 * options_.ffn}, Keep::product);
  fc1_.plan_forward(plan, tokens);
  plan.keep(activated_, dtype_, {tokens, options_.ffn}, Keep::cheap);
  fc2_.plan_forward(plan, tokens);
}

void Mlp::forward(const Kept& out, const Tensor& in, Pass& pass) const {
  const int64_t tokens = in.dim(0);
  const Kept hidden = pass.keep(hidden_, dtype_, {tokens, 2 * options_.ffn}, Keep::product);
  fc1_.forward(hidden, in, pass);
  const Kept activated = pass.keep(activated_, dtype_, {tokens, options_.ffn}, Keep::cheap);
  if (!activated.there)
    ops::gated_activation_forward({.out = activated, .hidden = hidden, .gate_rows = {}, .kind = options_.activation},
                                  pass.stream);
  fc2_.forward(out, activated, pass);
}

void Mlp::plan_backward(Plan& plan, int64_t tokens) const {
  plan.defer(d_hidden_, dtype_, {tokens, 2 * options_.ffn});
  Plan::Scope scope(plan);
  plan.temporary(dtype_, {tokens, options_.ffn});
}

void Mlp::backward_input(const Tensor& d_in, const Tensor& d_out, Pass& pass) const {
  const int64_t tokens = d_out.dim(0);
  const Tensor d_hidden = pass.deferred.keep(d_hidden_, dtype_, {tokens, 2 * options_.ffn});
  {
    Arena::Scope scope(pass.scratch);
    const Tensor d_activated = pass.temporary(dtype_, {tokens, options_.ffn});
    fc2_.backward_input(d_activated, d_out, pass);
    ops::gated_activation_backward({.d_hidden = d_hidden,
                                    .d_gate_rows = {},
                                    .d_out = d_activated,
                                    .hidden = pass.saved(hidden_),
                                    .gate_rows = {},
                                    .kind = options_.activation},
                                   pass.stream);
  }
  fc1_.backward_input(d_in, d_hidden, pass);
}

void Mlp::backward_weights(Pass& pass) const {
  fc2_.backward_weights(pass);
  fc1_.backward_weights(pass);
}

}  // namespace timetrial::nn
