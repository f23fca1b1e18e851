// TokenLoss: output head over the vocabulary and cross entropy, on rows that are normed already. A model may use one
// head at two places (spec 5). SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "timetrial/nn/linear.h"

namespace timetrial::nn {

struct TokenLossOptions {
  int64_t hidden, vocabulary;
  double init_std = 0;
  int uses = 1;  // places of the model that use this head
};

class TokenLoss {
 public:
  // Adds "<name>.weight" (vocabulary, hidden).
  TokenLoss(ModuleContext& context, const std::string& name, const TokenLossOptions& options);
  // The same head at another place, where the last row of each sequence of this many has no target: its loss counts
  // nothing and has no gradient. 0: every row has a target.
  TokenLoss(ModuleContext& context, const TokenLoss& tied, int64_t masked_sequence_length);

  void plan_forward(Plan& plan, int64_t tokens) const;
  void plan_backward(Plan&, int64_t) const {}
  // loss (N) fp32 or f64: nats of every row, undivided; 0 for masked ones. `in` (N, hidden) must live until
  // backward_weights.
  void forward(const Tensor& loss, const Tensor& in, const Tensor& labels, Pass& pass) const;
  // d_in is overwritten; `scale` weighs the sum of the losses. The kept logits become their gradient in place.
  void backward_input(const Tensor& d_in, const Tensor& labels, double scale, Pass& pass) const;
  void backward_weights(Pass& pass) const { head_.backward_weights(pass); }

  // Where forward leaves the logits (N, vocabulary) in training, until backward turns them into their gradient.
  SavedId logits() const { return logits_; }

 private:
  void mask(const Tensor& rows, StreamRef stream) const;  // zeros where a row has no target

  TokenLossOptions options_;
  int64_t masked_sequence_length_;
  DType dtype_, fine_;
  Linear head_;
  SavedId logits_, lse_;
};

}  // namespace timetrial::nn
