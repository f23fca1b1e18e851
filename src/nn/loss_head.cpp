// Final norm, head, cross entropy and their gradients.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/nn/loss_head.h"

#include "timetrial/ops/cross_entropy.h"

namespace timetrial::nn {

LossHead::LossHead(ModuleContext& context, const std::string& name, const LossHeadOptions& o)
    : options_(o),
      dtype_(context.dtype),
      fine_(context.fine()),
      norm_(context, name + ".norm", o.hidden, o.norm_epsilon),
      head_(context, name + ".output", {.inputs = o.hidden, .outputs = o.vocabulary, .init_std = o.init_std}),
      normed_(context.saved()),
      logits_(context.saved()),
      lse_(context.saved()),
      d_normed_(context.saved()) {}

void LossHead::plan_forward(Plan& plan, int64_t tokens) const {
  plan.keep(normed_, dtype_, {tokens, options_.hidden});
  norm_.plan_forward(plan, tokens);
  plan.keep(logits_, dtype_, {tokens, options_.vocabulary});
  plan.keep(lse_, fine_, {tokens});
}

void LossHead::forward(const Tensor& loss, const Tensor& in, const Tensor& labels, Pass& pass) const {
  const int64_t tokens = in.dim(0);
  const Tensor normed = pass.keep(normed_, dtype_, {tokens, options_.hidden});
  norm_.forward(normed, in, pass);
  const Tensor logits = pass.keep(logits_, dtype_, {tokens, options_.vocabulary});
  head_.forward(logits, normed, pass);
  const Tensor lse = pass.keep(lse_, fine_, {tokens});
  ops::cross_entropy_forward({.loss = loss, .lse = lse, .logits = logits, .labels = labels}, pass.stream);
}

void LossHead::plan_backward(Plan& plan, int64_t tokens) const {
  plan.defer(d_normed_, dtype_, {tokens, options_.hidden});
}

void LossHead::backward_input(const Tensor& d_in, const Tensor& labels, double scale, Pass& pass) const {
  const Tensor logits = pass.stash.saved(logits_);
  ops::cross_entropy_backward({.logits = logits, .lse = pass.stash.saved(lse_), .labels = labels, .scale = scale},
                              pass.stream);
  const Tensor d_normed = pass.deferred.keep(d_normed_, dtype_, {logits.dim(0), options_.hidden});
  head_.backward_input(d_normed, logits, pass);
  norm_.backward_input(d_in, d_normed, pass);
}

void LossHead::backward_weights(Pass& pass) const {
  head_.backward_weights(pass);
  norm_.backward_weights(pass);
}

}  // namespace timetrial::nn
