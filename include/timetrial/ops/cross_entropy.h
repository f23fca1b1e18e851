// Cross entropy over a vocabulary row: loss = log-sum-exp(logits) - logits[label] (spec 4.2).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

struct CrossEntropyForward {
  Tensor loss, lse;       // (N), (N): fp32, or f64 when the logits are; nats per token
  Tensor logits, labels;  // (N, V), (N) int32 in [0, V)
};
void cross_entropy_forward(const CrossEntropyForward& a, StreamRef stream);

// Turns the logits into their gradient in place: (softmax - onehot) * scale. `scale` is where the loss becomes a mean:
// 1 / (tokens of the micro batch * micro batches * data ranks), the only division of the loss anywhere.
struct CrossEntropyBackward {
  Tensor logits;       // (N, V): logits in, d_logits out
  Tensor lse, labels;  // (N), (N) int32
  double scale;
};
void cross_entropy_backward(const CrossEntropyBackward& a, StreamRef stream);

}  // namespace timetrial::ops
