// Cross entropy over shards of the vocabulary: checks, then dispatch.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/sharded_cross_entropy.h"

#include "ops/checks.h"
#include "ops/cpu/sharded_cross_entropy.h"
#include "ops/cuda/sharded_cross_entropy.h"
#include "ops/on_cpu.h"

namespace timetrial::ops {

constexpr Roles<CrossEntropyShardForward> roles(const CrossEntropyShardForward&) {
  return {.reads = {&CrossEntropyShardForward::logits, &CrossEntropyShardForward::labels},
          .writes = {&CrossEntropyShardForward::statistics}};
}
constexpr Roles<CrossEntropyCombine> roles(const CrossEntropyCombine&) {
  return {.reads = {&CrossEntropyCombine::statistics},
          .writes = {&CrossEntropyCombine::loss, &CrossEntropyCombine::lse}};
}
constexpr Roles<CrossEntropyShardBackward> roles(const CrossEntropyShardBackward&) {
  return {.reads = {&CrossEntropyShardBackward::lse, &CrossEntropyShardBackward::labels},
          .updates = {&CrossEntropyShardBackward::logits}};
}

namespace {

void check_shard(std::string_view op, const Tensor& logits, const Tensor& labels, const ClassShard& shard) {
  TIMETRIAL_CHECK(logits.shape().rank() == 2 && logits.dim(1) > 0, "{}: logits {}", op, logits.shape());
  check_tensor(labels, {op, "labels", DType::i32, {logits.dim(0)}});
  TIMETRIAL_CHECK(0 <= shard.first && shard.first + logits.dim(1) <= shard.all,
                  "{}: {} classes from {} on are not within the {} of all shards", op, logits.dim(1), shard.first,
                  shard.all);
}

}  // namespace

void cross_entropy_shard_forward(const CrossEntropyShardForward& a, StreamRef stream) {
  constexpr std::string_view kOp = "cross_entropy_shard_forward";
  check_devices(kOp, {a.statistics, a.logits, a.labels}, stream);
  check_shard(kOp, a.logits, a.labels, a.shard);
  check_tensor(a.statistics, {kOp, "statistics", wide(a.logits.dtype()), {3, a.logits.dim(0)}});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({kOp, stream, a.logits.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::cross_entropy_shard_forward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::cross_entropy_shard_forward(a, stream);
      throw_without_cuda(kOp);
  }
}

void cross_entropy_combine(const CrossEntropyCombine& a, StreamRef stream) {
  constexpr std::string_view kOp = "cross_entropy_combine";
  check_devices(kOp, {a.loss, a.lse, a.statistics}, stream);
  const Shape& shape = a.statistics.shape();
  TIMETRIAL_CHECK(shape.rank() == 3 && shape[0] > 0 && shape[1] == 3, "{}: statistics {}", kOp, shape);
  TIMETRIAL_CHECK(a.statistics.dtype() == wide(a.statistics.dtype()), "{}: statistics in {}", kOp,
                  name_of(a.statistics.dtype()));
  check_tensor(a.loss, {kOp, "loss", a.statistics.dtype(), {shape[2]}});
  check_tensor(a.lse, {kOp, "lse", a.statistics.dtype(), {shape[2]}});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({kOp, stream, a.statistics.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::cross_entropy_combine<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::cross_entropy_combine(a, stream);
      throw_without_cuda(kOp);
  }
}

void cross_entropy_shard_backward(const CrossEntropyShardBackward& a, StreamRef stream) {
  constexpr std::string_view kOp = "cross_entropy_shard_backward";
  check_devices(kOp, {a.logits, a.lse, a.labels}, stream);
  check_shard(kOp, a.logits, a.labels, a.shard);
  check_tensor(a.lse, {kOp, "lse", wide(a.logits.dtype()), {a.logits.dim(0)}});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({kOp, stream, a.logits.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::cross_entropy_shard_backward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::cross_entropy_shard_backward(a, stream);
      throw_without_cuda(kOp);
  }
}

}  // namespace timetrial::ops
