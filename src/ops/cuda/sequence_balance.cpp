// Sequence auxiliary loss on CUDA: tensors to kernel arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/sequence_balance.h"

#include "ops/cuda/arguments.h"
#include "ops/cuda/sequence_balance_kernels.h"

namespace timetrial::ops::cuda {

namespace {

double weight_of(const Tensor& score, const Tensor& counts, int64_t choices) {
  const double length = static_cast<double>(score.dim(0)) / static_cast<double>(counts.dim(0));
  return static_cast<double>(score.dim(1)) / (static_cast<double>(choices) * length * length);
}

}  // namespace

void sequence_balance_forward(const SequenceBalanceForward& a, StreamRef stream) {
  check_storage("sequence_balance_forward", {a.score.dtype()});
  launch(SequenceBalanceForwardLaunch{.loss = a.loss.data<float>(),
                                      .counts = a.counts.data<int32_t>(),
                                      .score = a.score.data<float>(),
                                      .sequences = a.loss.dim(0),
                                      .length = a.score.dim(0) / a.loss.dim(0),
                                      .experts = static_cast<int32_t>(a.score.dim(1)),
                                      .choices = static_cast<int32_t>(a.choices),
                                      .weight = static_cast<float>(weight_of(a.score, a.counts, a.choices))},
         stream);
}

void sequence_balance_backward(const SequenceBalanceBackward& a, StreamRef stream) {
  check_storage("sequence_balance_backward", {a.score.dtype()});
  launch(SequenceBalanceBackwardLaunch{.d_score = a.d_score.data<float>(),
                                       .score = a.score.data<float>(),
                                       .counts = a.counts.data<int32_t>(),
                                       .rows = a.score.dim(0),
                                       .length = a.score.dim(0) / a.counts.dim(0),
                                       .experts = static_cast<int32_t>(a.score.dim(1)),
                                       .factor = static_cast<float>(a.scale * weight_of(a.score, a.counts, a.choices))},
         stream);
}

}  // namespace timetrial::ops::cuda
