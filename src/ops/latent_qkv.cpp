// Queries, keys and values of latent attention: what it accepts, checked once for every device.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/latent_qkv.h"

#include "ops/checks.h"
#include "ops/cpu/latent_qkv.h"
#include "ops/cuda/latent_qkv.h"
#include "ops/on_cpu.h"

namespace timetrial::ops {

constexpr Roles<LatentQkvForward> roles(const LatentQkvForward&) {
  return {.reads = {&LatentQkvForward::q, &LatentQkvForward::kv, &LatentQkvForward::key_rope, &LatentQkvForward::cos,
                    &LatentQkvForward::sin},
          .writes = {&LatentQkvForward::qkv}};
}
constexpr Roles<LatentQkvBackward> roles(const LatentQkvBackward&) {
  return {.reads = {&LatentQkvBackward::d_qkv, &LatentQkvBackward::cos, &LatentQkvBackward::sin},
          .writes = {&LatentQkvBackward::d_q, &LatentQkvBackward::d_kv, &LatentQkvBackward::d_key_rope}};
}

namespace {

struct Parts {
  const Tensor &q, &kv, &key_rope, &qkv, &cos, &sin;
};

void check(std::string_view op, const Parts& a, const LatentShape& s) {
  TIMETRIAL_CHECK(s.heads > 0 && s.nope_dim > 0 && s.rope_dim > 0 && s.value_dim > 0 && s.rope_dim % 2 == 0,
                  "{}: {} heads of {} + {} channels, values of {}", op, s.heads, s.nope_dim, s.rope_dim, s.value_dim);
  const DType dtype = a.qkv.dtype();
  const int64_t rows = a.qkv.dim(0), length = a.cos.dim(0);
  check_tensor(a.qkv, {op, "qkv", dtype, {rows, s.qkv_width()}});
  check_tensor(a.q, {op, "q", dtype, {rows, s.query_width()}});
  check_tensor(a.kv, {op, "kv", dtype, {rows, s.key_value_width()}});
  check_tensor(a.key_rope, {op, "key_rope", dtype, {rows, s.rope_dim}});
  check_tensor(a.cos, {op, "cos", wide(dtype), {length, s.rope_dim / 2}});
  check_tensor(a.sin, {op, "sin", wide(dtype), {length, s.rope_dim / 2}});
  TIMETRIAL_CHECK(length > 0 && rows % length == 0, "{}: {} rows are no whole sequences of {}", op, rows, length);
}

}  // namespace

void latent_qkv_forward(const LatentQkvForward& a, StreamRef stream) {
  constexpr std::string_view op = "latent_qkv_forward";
  check_devices(op, {a.qkv, a.q, a.kv, a.key_rope, a.cos, a.sin}, stream);
  check(op, {a.q, a.kv, a.key_rope, a.qkv, a.cos, a.sin}, a.shape);
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, a.qkv.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::latent_qkv_forward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::latent_qkv_forward(a, stream);
      throw_without_cuda(op);
  }
}

void latent_qkv_backward(const LatentQkvBackward& a, StreamRef stream) {
  constexpr std::string_view op = "latent_qkv_backward";
  check_devices(op, {a.d_q, a.d_kv, a.d_key_rope, a.d_qkv, a.cos, a.sin}, stream);
  check(op, {a.d_q, a.d_kv, a.d_key_rope, a.d_qkv, a.cos, a.sin}, a.shape);
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({op, stream, a.d_qkv.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::latent_qkv_backward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::latent_qkv_backward(a, stream);
      throw_without_cuda(op);
  }
}

}  // namespace timetrial::ops
