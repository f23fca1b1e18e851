// Final norm, then head and cross entropy.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/nn/loss_head.h"

namespace timetrial::nn {

LossHead::LossHead(ModuleContext& context, const std::string& name, const LossHeadOptions& o)
    : options_(o),
      dtype_(context.dtype),
      norm_(context, name + ".norm", o.hidden, o.norm_epsilon),
      token_loss_(context, name + ".output", {.hidden = o.hidden, .vocabulary = o.vocabulary, .init_std = o.init_std}),
      normed_(context.saved()),
      d_normed_(context.saved()) {}

void LossHead::plan_forward(Plan& plan, int64_t tokens) const {
  plan.keep(normed_, dtype_, {tokens, options_.hidden});
  norm_.plan_forward(plan, tokens);
  token_loss_.plan_forward(plan, tokens);
}

void LossHead::forward(const Tensor& loss, const Tensor& in, const Tensor& labels, Pass& pass) const {
  const Tensor normed = pass.keep(normed_, dtype_, {in.dim(0), options_.hidden});
  norm_.forward(normed, in, pass);
  token_loss_.forward(loss, normed, labels, pass);
}

void LossHead::plan_backward(Plan& plan, int64_t tokens) const {
  plan.defer(d_normed_, dtype_, {tokens, options_.hidden});
}

void LossHead::backward_input(const Tensor& d_in, const Tensor& labels, double scale, Pass& pass) const {
  const Tensor d_normed = pass.deferred.keep(d_normed_, dtype_, {labels.dim(0), options_.hidden});
  token_loss_.backward_input(d_normed, labels, scale, pass);
  norm_.backward_input(d_in, d_normed, pass);
}

void LossHead::backward_weights(Pass& pass) const {
  token_loss_.backward_weights(pass);
  norm_.backward_weights(pass);
}

}  // namespace timetrial::nn
