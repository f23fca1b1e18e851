// LossHead: final norm, output head over the vocabulary, cross entropy. The one place that divides the loss.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "timetrial/nn/norm.h"
#include "timetrial/nn/token_loss.h"

namespace timetrial::nn {

struct LossHeadOptions {
  int64_t hidden, vocabulary;
  double norm_epsilon, init_std;
};

class LossHead {
 public:
  LossHead(ModuleContext& context, const std::string& name, const LossHeadOptions& options);

  void plan_forward(Plan& plan, int64_t tokens) const;
  void plan_backward(Plan& plan, int64_t tokens) const;
  // loss (N): nats of every token, undivided.
  void forward(const Tensor& loss, const Tensor& in, const Tensor& labels, Pass& pass) const;
  // `scale`: 1 / (tokens of the micro batch * micro batches * data ranks). The kept logits become their gradient in
  // place.
  void backward_input(const Tensor& d_in, const Tensor& labels, double scale, Pass& pass) const;
  void backward_weights(Pass& pass) const;

  // Where forward leaves the logits (N, vocabulary) in training, until backward turns them into their gradient.
  SavedId logits() const { return token_loss_.logits(); }

 private:
  LossHeadOptions options_;
  DType dtype_;
  Norm norm_;
  TokenLoss token_loss_;
  SavedId normed_, d_normed_;
};

}  // namespace timetrial::nn
