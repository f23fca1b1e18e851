// Gated activation: what it accepts, checked once for every device.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/gated_activation.h"

#include "ops/checks.h"
#include "ops/cpu/gated_activation.h"
#include "ops/cuda/gated_activation.h"
#include "ops/on_cpu.h"

namespace timetrial::ops {

constexpr Roles<GatedActivationForward> roles(const GatedActivationForward&) {
  return {.reads = {&GatedActivationForward::hidden, &GatedActivationForward::gate_rows},
          .writes = {&GatedActivationForward::out}};
}
constexpr Roles<GatedActivationBackward> roles(const GatedActivationBackward&) {
  return {
      .reads = {&GatedActivationBackward::d_out, &GatedActivationBackward::hidden, &GatedActivationBackward::gate_rows},
      .writes = {&GatedActivationBackward::d_hidden, &GatedActivationBackward::d_gate_rows}};
}

void gated_activation_forward(const GatedActivationForward& a, StreamRef stream) {
  constexpr std::string_view op = "gated_activation_forward";
  check_devices(op, {a.out, a.hidden, a.gate_rows}, stream);
  const DType dtype = a.hidden.dtype();
  const int64_t rows = a.out.dim(0), width = a.out.dim(1);
  check_tensor(a.out, {op, "out", dtype, {rows, width}});
  check_tensor(a.hidden, {op, "hidden", dtype, {rows, 2 * width}});
  if (a.gate_rows) check_tensor(a.gate_rows, {op, "gate_rows", wide(dtype), {rows}});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, dtype}, a,
                    [&]<class T>(const auto& arguments) { cpu::gated_activation_forward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::gated_activation_forward(a, stream);
      throw_without_cuda(op);
  }
}

void gated_activation_backward(const GatedActivationBackward& a, StreamRef stream) {
  constexpr std::string_view op = "gated_activation_backward";
  check_devices(op, {a.d_hidden, a.d_gate_rows, a.d_out, a.hidden, a.gate_rows}, stream);
  const DType dtype = a.hidden.dtype();
  const int64_t rows = a.d_out.dim(0), width = a.d_out.dim(1);
  check_tensor(a.d_out, {op, "d_out", dtype, {rows, width}});
  check_tensor(a.hidden, {op, "hidden", dtype, {rows, 2 * width}});
  check_tensor(a.d_hidden, {op, "d_hidden", dtype, {rows, 2 * width}});
  if (a.gate_rows) check_tensor(a.gate_rows, {op, "gate_rows", wide(dtype), {rows}});
  if (a.d_gate_rows) check_tensor(a.d_gate_rows, {op, "d_gate_rows", wide(dtype), {rows}});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, dtype}, a,
                    [&]<class T>(const auto& arguments) { cpu::gated_activation_backward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::gated_activation_backward(a, stream);
      throw_without_cuda(op);
  }
}

}  // namespace timetrial::ops
