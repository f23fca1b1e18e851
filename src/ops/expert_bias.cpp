// Load counting and the expert bias: what it accepts, checked once for every device.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/expert_bias.h"

#include "ops/checks.h"
#include "ops/cpu/expert_bias.h"
#include "ops/cuda/expert_bias.h"
#include "ops/on_cpu.h"

namespace timetrial::ops {

constexpr Roles<CountExperts> roles(const CountExperts&) {
  return {.reads = {&CountExperts::expert}, .updates = {&CountExperts::counts}};
}
constexpr Roles<ExpertBiasUpdate> roles(const ExpertBiasUpdate&) {
  return {.reads = {&ExpertBiasUpdate::counts}, .updates = {&ExpertBiasUpdate::bias}};
}

void count_experts(const CountExperts& a, StreamRef stream) {
  constexpr std::string_view op = "count_experts";
  check_devices(op, {a.counts, a.expert}, stream);
  check_tensor(a.counts, {op, "counts", DType::i32, {a.counts.dim(0)}});
  check_tensor(a.expert, {op, "expert", DType::i32, {a.expert.dim(0), a.expert.dim(1)}});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, DType::f32}, a, []<class T>(const auto& arguments) { cpu::count_experts(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::count_experts(a, stream);
      throw_without_cuda(op);
  }
}

void expert_bias_update(const ExpertBiasUpdate& a, StreamRef stream) {
  constexpr std::string_view op = "expert_bias_update";
  check_devices(op, {a.bias, a.counts}, stream);
  check_tensor(a.counts, {op, "counts", DType::i32, {a.counts.dim(0)}});
  check_tensor(a.bias, {op, "bias", wide(a.bias.dtype()), {a.counts.dim(0)}});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, a.bias.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::expert_bias_update<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::expert_bias_update(a, stream);
      throw_without_cuda(op);
  }
}

}  // namespace timetrial::ops
