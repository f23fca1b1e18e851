// Sequence auxiliary loss: what it accepts, checked once for every device.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/sequence_balance.h"

#include "ops/checks.h"
#include "ops/cpu/sequence_balance.h"
#include "ops/cuda/sequence_balance.h"
#include "ops/on_cpu.h"

namespace timetrial::ops {

constexpr Roles<SequenceBalanceForward> roles(const SequenceBalanceForward&) {
  return {.reads = {&SequenceBalanceForward::score},
          .writes = {&SequenceBalanceForward::loss, &SequenceBalanceForward::counts}};
}
constexpr Roles<SequenceBalanceBackward> roles(const SequenceBalanceBackward&) {
  return {.reads = {&SequenceBalanceBackward::score, &SequenceBalanceBackward::counts},
          .writes = {&SequenceBalanceBackward::d_score}};
}

namespace {

constexpr int64_t kMostChoices = 64;

void check(std::string_view op, const Tensor& score, const Tensor& counts, int64_t choices) {
  TIMETRIAL_CHECK(score.shape().rank() == 2 && counts.shape().rank() == 2, "{}: score {}, counts {}", op, score.shape(),
                  counts.shape());
  check_tensor(counts, {op, "counts", DType::i32, {counts.dim(0), score.dim(1)}});
  check_tensor(score, {op, "score", wide(score.dtype()), score.shape()});
  TIMETRIAL_CHECK(counts.dim(0) > 0 && score.dim(0) % counts.dim(0) == 0, "{}: {} rows are no {} sequences", op,
                  score.dim(0), counts.dim(0));
  TIMETRIAL_CHECK(choices > 0 && choices <= kMostChoices && choices <= score.dim(1), "{}: {} choices among {} experts",
                  op, choices, score.dim(1));
}

}  // namespace

void sequence_balance_forward(const SequenceBalanceForward& a, StreamRef stream) {
  constexpr std::string_view op = "sequence_balance_forward";
  check_devices(op, {a.loss, a.counts, a.score}, stream);
  check(op, a.score, a.counts, a.choices);
  check_tensor(a.loss, {op, "loss", a.score.dtype(), {a.counts.dim(0)}});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, a.score.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::sequence_balance_forward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::sequence_balance_forward(a, stream);
      throw_without_cuda(op);
  }
}

void sequence_balance_backward(const SequenceBalanceBackward& a, StreamRef stream) {
  constexpr std::string_view op = "sequence_balance_backward";
  check_devices(op, {a.d_score, a.score, a.counts}, stream);
  check(op, a.score, a.counts, a.choices);
  check_tensor(a.d_score, {op, "d_score", a.score.dtype(), a.score.shape()});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, a.score.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::sequence_balance_backward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::sequence_balance_backward(a, stream);
      throw_without_cuda(op);
  }
}

}  // namespace timetrial::ops
