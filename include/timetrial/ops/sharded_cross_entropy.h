// Cross entropy over a vocabulary that several ranks share (spec 4.2): statistics of one's own classes, then the loss.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

// The classes [first, first + columns of the logits) of one shard, of `all` classes over all shards; padded rows of the
// vocabulary are classes that no label names.
struct ClassShard {
  int64_t first, all;
};

// What a shard knows of each row. The statistics of all ranks one after another, as an all-gather leaves them, are the
// input of cross_entropy_combine.
struct CrossEntropyShardForward {
  Tensor statistics;  // (3, N) fp32, or f64 when the logits are: the largest logit, the sum of exp(logit - largest),
                      // and the label's logit, -inf where the label is another shard's
  Tensor logits, labels;  // (N, V / shards), (N) int32 in [0, shard.all)
  ClassShard shard;
};
void cross_entropy_shard_forward(const CrossEntropyShardForward& a, StreamRef stream);

// Sums run in the order of the shards, so every rank that combines the same statistics gets the same bits.
struct CrossEntropyCombine {
  Tensor loss, lse;   // (N), (N) in the statistics' type: nats per token, log-sum-exp over all classes
  Tensor statistics;  // (shards, 3, N)
};
void cross_entropy_combine(const CrossEntropyCombine& a, StreamRef stream);

// Turns a shard's logits into their gradient in place: (softmax - onehot) * scale, with the `lse` of all shards.
// `scale` is that of CrossEntropyBackward.
struct CrossEntropyShardBackward {
  Tensor logits;       // (N, V / shards): logits in, d_logits out
  Tensor lse, labels;  // (N), (N) int32 in [0, shard.all)
  ClassShard shard;
  double scale;
};
void cross_entropy_shard_backward(const CrossEntropyShardBackward& a, StreamRef stream);

}  // namespace timetrial::ops
