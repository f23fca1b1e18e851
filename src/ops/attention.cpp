// Attention: what it accepts, checked once for every device.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/attention.h"

#include <algorithm>
#include <cmath>

#include "ops/checks.h"
#include "ops/cpu/attention.h"
#include "ops/cuda/attention.h"
#include "ops/on_cpu.h"

namespace timetrial::ops {

constexpr Roles<AttentionForward> roles(const AttentionForward&) {
  return {.reads = {&AttentionForward::qkv, &AttentionForward::sinks},
          .writes = {&AttentionForward::out, &AttentionForward::lse}};
}
constexpr Roles<AttentionBackward> roles(const AttentionBackward&) {
  return {.reads = {&AttentionBackward::d_out, &AttentionBackward::out, &AttentionBackward::lse,
                    &AttentionBackward::qkv, &AttentionBackward::sinks},
          .writes = {&AttentionBackward::d_qkv, &AttentionBackward::d_sinks}};
}
// Queries times the keys they see, of one sequence and head.
double visible_pairs(const AttentionShape& s) {
  const auto length = static_cast<double>(s.length);
  const double window = s.window_keys == 0 ? length : std::min(length, static_cast<double>(s.window_keys));
  return window * (window + 1) / 2 + (length - window) * window;
}
// Two products forward, five backward (scores once more).
double flops(const AttentionForward& a) {
  const AttentionShape& s = a.shape;
  return 2.0 * static_cast<double>(s.batch * s.heads * (s.head_dim + s.value_dim())) * visible_pairs(s);
}
double flops(const AttentionBackward& a) {
  const AttentionShape& s = a.shape;
  return 2.0 * static_cast<double>(s.batch * s.heads * (3 * s.head_dim + 2 * s.value_dim())) * visible_pairs(s);
}

namespace {

void check_shape(std::string_view op, const AttentionShape& s) {
  TIMETRIAL_CHECK(s.batch > 0 && s.length > 0 && s.head_dim > 0, "{}: {} sequences of {} tokens, heads of {} channels",
                  op, s.batch, s.length, s.head_dim);
  TIMETRIAL_CHECK(s.value_channels >= 0, "{}: value heads of {} channels", op, s.value_channels);
  TIMETRIAL_CHECK(s.kv_heads > 0 && s.heads > 0 && s.heads % s.kv_heads == 0, "{}: {} query heads, {} kv heads", op,
                  s.heads, s.kv_heads);
  TIMETRIAL_CHECK(s.window_keys >= 0, "{}: window of {} keys", op, s.window_keys);
  TIMETRIAL_CHECK(std::isfinite(s.scale), "{}: scale {}", op, s.scale);
}

// Sizes that forward and backward share.
struct Shapes {
  explicit Shapes(const AttentionShape& s)
      : qkv{s.batch * s.length, s.qkv_width()},
        out{s.batch * s.length, s.out_width()},
        lse{s.batch, s.heads, s.length},
        sinks{s.heads} {}
  Shape qkv, out, lse, sinks;
};

void check_workspace(std::string_view op, const Tensor& workspace, size_t needed) {
  if (needed == 0) return;
  TIMETRIAL_CHECK(workspace && workspace.bytes() >= needed,
                  "{}: workspace of {} bytes, {} are needed with the threads of this call", op,
                  workspace ? workspace.bytes() : 0, needed);
}

}  // namespace

size_t attention_workspace_bytes(const AttentionShape& shape, DType dtype, Device device, Libraries* libraries) {
  constexpr std::string_view op = "attention_workspace_bytes";
  check_shape(op, shape);
  switch (device.kind) {
    case DeviceKind::cpu:
      return cpu::attention_workspace_bytes(shape, dtype);
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::attention_workspace_bytes(shape, dtype, device, libraries);
      throw_without_cuda("attention");
  }
  throw Error("attention_workspace_bytes: unknown device");
}

void attention_forward(const AttentionForward& a, StreamRef stream) {
  constexpr std::string_view op = "attention_forward";
  check_devices(op, {a.out, a.lse, a.qkv, a.sinks, a.workspace}, stream);
  check_shape(op, a.shape);
  const DType dtype = a.qkv.dtype();
  const Shapes shapes(a.shape);
  check_tensor(a.qkv, {op, "qkv", dtype, shapes.qkv});
  check_tensor(a.out, {op, "out", dtype, shapes.out});
  check_tensor(a.lse, {op, "lse", wide(dtype), shapes.lse});
  TIMETRIAL_CHECK(a.shape.sinks == static_cast<bool>(a.sinks), "{}: the shape {} sinks, the call {}", op,
                  a.shape.sinks ? "has" : "has no", a.sinks ? "brings some" : "brings none");
  if (a.sinks) check_tensor(a.sinks, {op, "sinks", dtype, shapes.sinks});
  check_workspace(op, a.workspace, attention_workspace_bytes(a.shape, dtype, stream.device, a.libraries));
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, dtype}, a,
                    [&]<class T>(const auto& arguments) { cpu::attention_forward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::attention_forward(a, stream);
      throw_without_cuda("attention");
  }
}

void attention_backward(const AttentionBackward& a, StreamRef stream) {
  constexpr std::string_view op = "attention_backward";
  check_devices(op, {a.d_qkv, a.d_sinks, a.d_out, a.out, a.lse, a.qkv, a.sinks, a.workspace}, stream);
  check_shape(op, a.shape);
  const DType dtype = a.qkv.dtype();
  const Shapes shapes(a.shape);
  check_tensor(a.qkv, {op, "qkv", dtype, shapes.qkv});
  check_tensor(a.d_qkv, {op, "d_qkv", dtype, shapes.qkv});
  check_tensor(a.out, {op, "out", dtype, shapes.out});
  check_tensor(a.d_out, {op, "d_out", dtype, shapes.out});
  check_tensor(a.lse, {op, "lse", wide(dtype), shapes.lse});
  TIMETRIAL_CHECK(a.shape.sinks == static_cast<bool>(a.sinks), "{}: the shape {} sinks, the call {}", op,
                  a.shape.sinks ? "has" : "has no", a.sinks ? "brings some" : "brings none");
  if (a.sinks) check_tensor(a.sinks, {op, "sinks", dtype, shapes.sinks});
  TIMETRIAL_CHECK(a.sinks || !a.d_sinks, "{}: d_sinks without sinks", op);
  if (a.d_sinks) {
    const DType d_sinks = a.d_sinks.dtype() == wide(dtype) ? wide(dtype) : dtype;
    check_tensor(a.d_sinks, {op, "d_sinks", d_sinks, shapes.sinks});
  }
  check_workspace(op, a.workspace, attention_workspace_bytes(a.shape, dtype, stream.device, a.libraries));
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, dtype}, a,
                    [&]<class T>(const auto& arguments) { cpu::attention_backward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::attention_backward(a, stream);
      throw_without_cuda("attention");
  }
}

}  // namespace timetrial::ops
