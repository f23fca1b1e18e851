// Head, cross entropy and their gradients.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/nn/token_loss.h"

#include "timetrial/ops/cross_entropy.h"

namespace timetrial::nn {

TokenLoss::TokenLoss(ModuleContext& context, const std::string& name, const TokenLossOptions& o)
    : options_(o),
      masked_sequence_length_(0),
      dtype_(context.dtype),
      fine_(context.fine()),
      head_(context, name, {.inputs = o.hidden, .outputs = o.vocabulary, .init_std = o.init_std, .uses = o.uses}),
      logits_(context.saved()),
      lse_(context.saved()) {}

TokenLoss::TokenLoss(ModuleContext& context, const TokenLoss& tied, int64_t masked_sequence_length)
    : options_(tied.options_),
      masked_sequence_length_(masked_sequence_length),
      dtype_(context.dtype),
      fine_(context.fine()),
      head_(context, tied.head_),
      logits_(context.saved()),
      lse_(context.saved()) {}

void TokenLoss::plan_forward(Plan& plan, int64_t tokens) const {
  plan.keep(logits_, dtype_, {tokens, options_.vocabulary});
  head_.plan_forward(plan, tokens);
  plan.keep(lse_, fine_, {tokens});
}

void TokenLoss::forward(const Tensor& loss, const Tensor& in, const Tensor& labels, Pass& pass) const {
  const int64_t tokens = in.dim(0);
  const Tensor logits = pass.keep(logits_, dtype_, {tokens, options_.vocabulary});
  head_.forward(logits, in, pass);
  const Tensor lse = pass.keep(lse_, fine_, {tokens});
  ops::cross_entropy_forward({.loss = loss, .lse = lse, .logits = logits, .labels = labels}, pass.stream);
  mask(loss, pass.stream);
}

void TokenLoss::mask(const Tensor& rows, StreamRef stream) const {
  if (masked_sequence_length_ == 0) return;
  for (int64_t end = masked_sequence_length_; end <= rows.dim(0); end += masked_sequence_length_) {
    const Tensor row = rows.rows(end - 1, end);
    fill_zero(row.raw(), row.bytes(), stream);
  }
}

void TokenLoss::backward_input(const Tensor& d_in, const Tensor& labels, double scale, Pass& pass) const {
  const Tensor logits = pass.stash.saved(logits_);
  ops::cross_entropy_backward({.logits = logits, .lse = pass.stash.saved(lse_), .labels = labels, .scale = scale},
                              pass.stream);
  mask(logits, pass.stream);
  head_.backward_input(d_in, logits, pass);
}

}  // namespace timetrial::nn
