// Storage rounding: what it accepts, checked once for every device.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/rounding.h"

#include "ops/checks.h"
#include "ops/cpu/rounding.h"
#include "ops/cuda/rounding.h"
#include "ops/on_cpu.h"

namespace timetrial::ops {

constexpr Roles<RoundToBfloat16> roles(const RoundToBfloat16&) { return {.updates = {&RoundToBfloat16::x}}; }

void round_to_bfloat16(const RoundToBfloat16& a, StreamRef stream) {
  constexpr std::string_view op = "round_to_bfloat16";
  check_devices(op, {a.x}, stream);
  check_tensor(a.x, {op, "x", DType::f32, a.x.shape()});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, DType::f32}, a,
                    []<class T>(const auto& arguments) { cpu::round_to_bfloat16(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::round_to_bfloat16(a, stream);
      throw_without_cuda(op);
  }
}

}  // namespace timetrial::ops
