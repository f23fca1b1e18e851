// Sigmoid router: what it accepts, checked once for every device.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/sigmoid_router.h"

#include "ops/checks.h"
#include "ops/cpu/sigmoid_router.h"
#include "ops/cuda/sigmoid_router.h"
#include "ops/on_cpu.h"

namespace timetrial::ops {

constexpr Roles<SigmoidRouteForward> roles(const SigmoidRouteForward&) {
  return {.reads = {&SigmoidRouteForward::logits, &SigmoidRouteForward::bias},
          .writes = {&SigmoidRouteForward::expert, &SigmoidRouteForward::gate, &SigmoidRouteForward::score}};
}
constexpr Roles<SigmoidRouteBackward> roles(const SigmoidRouteBackward&) {
  return {.reads = {&SigmoidRouteBackward::d_gate, &SigmoidRouteBackward::expert, &SigmoidRouteBackward::score,
                    &SigmoidRouteBackward::d_score},
          .writes = {&SigmoidRouteBackward::d_logits}};
}

namespace {

constexpr int64_t kMost = 64;  // choices and groups

}  // namespace

void sigmoid_route_forward(const SigmoidRouteForward& a, StreamRef stream) {
  constexpr std::string_view op = "sigmoid_route_forward";
  check_devices(op, {a.expert, a.gate, a.score, a.logits, a.bias}, stream);
  TIMETRIAL_CHECK(a.logits.shape().rank() == 2 && a.gate.shape().rank() == 2, "{}: logits {}, gate {}", op,
                  a.logits.shape(), a.gate.shape());
  const int64_t tokens = a.logits.dim(0), experts = a.logits.dim(1), choices = a.gate.dim(1);
  const DType fine = wide(a.logits.dtype());
  check_tensor(a.expert, {op, "expert", DType::i32, {tokens, choices}});
  check_tensor(a.gate, {op, "gate", fine, {tokens, choices}});
  check_tensor(a.score, {op, "score", fine, {tokens, experts}});
  check_tensor(a.bias, {op, "bias", fine, {experts}});
  TIMETRIAL_CHECK(a.groups > 0 && a.groups <= kMost && experts % a.groups == 0, "{}: {} experts in {} groups", op,
                  experts, a.groups);
  TIMETRIAL_CHECK(a.kept_groups > 0 && a.kept_groups <= a.groups, "{}: {} of {} groups are kept", op, a.kept_groups,
                  a.groups);
  TIMETRIAL_CHECK(
      choices > 0 && choices <= kMost && choices % a.kept_groups == 0 && choices / a.kept_groups <= experts / a.groups,
      "{}: {} choices from {} groups of {} experts", op, choices, a.kept_groups, experts / a.groups);
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, a.logits.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::sigmoid_route_forward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::sigmoid_route_forward(a, stream);
      throw_without_cuda(op);
  }
}

void sigmoid_route_backward(const SigmoidRouteBackward& a, StreamRef stream) {
  constexpr std::string_view op = "sigmoid_route_backward";
  check_devices(op, {a.d_logits, a.d_gate, a.expert, a.score, a.d_score}, stream);
  TIMETRIAL_CHECK(a.d_logits.shape().rank() == 2 && a.d_gate.shape().rank() == 2, "{}: d_logits {}, d_gate {}", op,
                  a.d_logits.shape(), a.d_gate.shape());
  const int64_t tokens = a.d_logits.dim(0), experts = a.d_logits.dim(1), choices = a.d_gate.dim(1);
  const DType fine = wide(a.d_logits.dtype());
  TIMETRIAL_CHECK(choices > 0 && choices <= experts, "{}: {} choices among {} experts", op, choices, experts);
  check_tensor(a.d_gate, {op, "d_gate", fine, {tokens, choices}});
  check_tensor(a.expert, {op, "expert", DType::i32, {tokens, choices}});
  check_tensor(a.score, {op, "score", fine, {tokens, experts}});
  if (a.d_score) check_tensor(a.d_score, {op, "d_score", fine, {tokens, experts}});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, a.d_logits.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::sigmoid_route_backward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::sigmoid_route_backward(a, stream);
      throw_without_cuda(op);
  }
}

}  // namespace timetrial::ops
