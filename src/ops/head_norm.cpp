// QK-norm: checks for both devices, then dispatch.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/head_norm.h"

#include "ops/checks.h"
#include "ops/cpu/head_norm.h"
#include "ops/cuda/head_norm.h"
#include "ops/on_cpu.h"

namespace timetrial::ops {

constexpr Roles<HeadNormForward> roles(const HeadNormForward&) {
  return {.reads = {&HeadNormForward::x, &HeadNormForward::q_weight, &HeadNormForward::k_weight},
          .writes = {&HeadNormForward::rstd, &HeadNormForward::out}};
}
constexpr Roles<HeadNormBackwardInput> roles(const HeadNormBackwardInput&) {
  return {.reads = {&HeadNormBackwardInput::d_out, &HeadNormBackwardInput::x, &HeadNormBackwardInput::rstd,
                    &HeadNormBackwardInput::q_weight, &HeadNormBackwardInput::k_weight},
          .writes = {&HeadNormBackwardInput::d_x}};
}
constexpr Roles<HeadNormBackwardWeight> roles(const HeadNormBackwardWeight&) {
  return {.reads = {&HeadNormBackwardWeight::d_out, &HeadNormBackwardWeight::x, &HeadNormBackwardWeight::rstd},
          .updates = {&HeadNormBackwardWeight::d_q_weight, &HeadNormBackwardWeight::d_k_weight}};
}

namespace {

// What all three ops share.
struct Rows {
  std::string_view op;
  Tensor x, rstd;
  int64_t heads, head_dim;
};

void check_rows(const Rows& r, std::initializer_list<Tensor> like_x) {
  const Shape x = r.x.shape(), rstd = r.rstd.shape();
  TIMETRIAL_CHECK(x.rank() == 2 && rstd.rank() == 2, "{}: x {} and rstd {} must be matrices", r.op, x, rstd);
  TIMETRIAL_CHECK(r.heads > 0 && rstd[1] > r.heads, "{}: {} query heads leave no key head in rstd {}", r.op, r.heads,
                  rstd);
  TIMETRIAL_CHECK(r.head_dim > 0 && rstd[1] * r.head_dim <= x[1], "{}: {} heads of {} channels in x {}", r.op, rstd[1],
                  r.head_dim, x);
  check_tensor(r.rstd, {r.op, "rstd", wide(r.x.dtype()), {x[0], rstd[1]}});
  for (const Tensor& tensor : like_x) check_tensor(tensor, {r.op, "a tensor like x", r.x.dtype(), x});
}

// Both weights, or both gradients.
void check_pair(std::string_view op, const Tensor& q, const Tensor& k, DType dtype) {
  check_tensor(q, {op, "the query weight", dtype, {q.dim(0)}});
  check_tensor(k, {op, "the key weight", dtype, {q.dim(0)}});
}

}  // namespace

void head_norm_forward(const HeadNormForward& a, StreamRef stream) {
  constexpr std::string_view kOp = "head_norm_forward";
  check_devices(kOp, {a.out, a.rstd, a.x, a.q_weight, a.k_weight}, stream);
  check_pair(kOp, a.q_weight, a.k_weight, a.x.dtype());
  check_rows({kOp, a.x, a.rstd, a.heads, a.q_weight.dim(0)}, {a.out});
  TIMETRIAL_CHECK(a.epsilon >= 0, "head_norm_forward: epsilon {}", a.epsilon);
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({kOp, stream, a.x.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::head_norm_forward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::head_norm_forward(a, stream);
      throw_without_cuda(kOp);
  }
}

void head_norm_backward_input(const HeadNormBackwardInput& a, StreamRef stream) {
  constexpr std::string_view kOp = "head_norm_backward_input";
  check_devices(kOp, {a.d_x, a.d_out, a.x, a.rstd, a.q_weight, a.k_weight}, stream);
  check_pair(kOp, a.q_weight, a.k_weight, a.x.dtype());
  check_rows({kOp, a.x, a.rstd, a.heads, a.q_weight.dim(0)}, {a.d_x, a.d_out});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({kOp, stream, a.x.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::head_norm_backward_input<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::head_norm_backward_input(a, stream);
      throw_without_cuda(kOp);
  }
}

void head_norm_backward_weight(const HeadNormBackwardWeight& a, StreamRef stream) {
  constexpr std::string_view kOp = "head_norm_backward_weight";
  check_devices(kOp, {a.d_q_weight, a.d_k_weight, a.d_out, a.x, a.rstd}, stream);
  check_pair(kOp, a.d_q_weight, a.d_k_weight, wide(a.x.dtype()));
  check_rows({kOp, a.x, a.rstd, a.heads, a.d_q_weight.dim(0)}, {a.d_out});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({kOp, stream, a.x.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::head_norm_backward_weight<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::head_norm_backward_weight(a, stream);
      throw_without_cuda(kOp);
  }
}

}  // namespace timetrial::ops
