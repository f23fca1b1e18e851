// Attention on CUDA: who computes, and tensors to kernel or library arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/attention.h"

#include "device/cuda/check.h"
#include "ops/cuda/arguments.h"
#include "ops/cuda/attention_kernels.h"
#include "ops/cuda/fused_attention.h"

namespace timetrial::ops::cuda {

namespace {

AttentionLayout layout_of(const AttentionShape& s) {
  return {.batch = s.batch,
          .length = s.length,
          .heads = s.heads,
          .kv_heads = s.kv_heads,
          .head_dim = s.head_dim,
          .value_dim = s.value_dim(),
          .window_keys = s.window_keys,
          .scale = static_cast<float>(s.scale),
          .qkv_width = s.qkv_width(),
          .out_width = s.out_width()};
}

// What one block may have on compute capabilities 9.0 and 10.0 (CUDA programming guide, technical specifications).
constexpr size_t kMostSharedBytes = size_t{227} << 10;

void check_shared(std::string_view op, const AttentionShape& s, size_t needed) {
  if (needed > kMostSharedBytes)
    throw UserError(
        fmt::format("{}: heads of {} and {} channels need {} bytes of shared memory on CUDA, a block has {}; "
                    "use narrower heads",
                    op, s.head_dim, s.value_dim(), needed, kMostSharedBytes));
}

// One fp32 per query and head: what backward subtracts from every row of dP.
size_t delta_bytes(const AttentionShape& s) {
  return static_cast<size_t>(s.batch * s.heads * s.length) * sizeof(float);
}

// cuDNN's plan of a shape; null when our own kernels compute it.
AttentionPlan* fused_plan(const AttentionShape& shape, const FusedAttention::Where& where, Libraries* libraries) {
  if (!libraries) return nullptr;
  AttentionPlan& plan = libraries->state<FusedAttention>().plan(shape, where, *libraries);
  return plan.choice.fused ? &plan : nullptr;
}

// With cuDNN the workspace is fp32 of our own first (delta, or the sinks widened), then the library's.
struct FusedWorkspace {
  FusedWorkspace(const Tensor& workspace, const AttentionShape& shape)
      : own(static_cast<float*>(workspace.raw())),
        library(static_cast<std::byte*>(workspace.raw()) + own_bytes(shape)) {
    TIMETRIAL_CHECK(reinterpret_cast<uintptr_t>(own) % kArenaAlignment == 0,
                    "attention: the workspace is not aligned to {} bytes", kArenaAlignment);
  }
  static size_t own_bytes(const AttentionShape& shape) { return arena_bytes(delta_bytes(shape)); }
  float* own;
  void* library;
};

AttentionBackwardLaunch launch_of(const AttentionBackward& a) {
  return {.d_qkv = a.d_qkv.raw(),
          .d_sinks = a.d_sinks ? a.d_sinks.raw() : nullptr,
          .delta = static_cast<float*>(a.workspace.raw()),
          .d_out = a.d_out.raw(),
          .out = a.out.raw(),
          .qkv = a.qkv.raw(),
          .sinks = a.sinks ? a.sinks.raw() : nullptr,
          .lse = a.lse.data<float>(),
          .layout = layout_of(a.shape),
          .type = a.qkv.dtype(),
          .d_sinks_type = a.d_sinks ? a.d_sinks.dtype() : DType::f32};
}

void fused_forward(AttentionPlan& plan, const AttentionForward& a, StreamRef stream) {
  const FusedWorkspace workspace(a.workspace, a.shape);
  if (a.sinks)
    launch(
        WidenSinksLaunch{.out = workspace.own, .sinks = a.sinks.raw(), .heads = a.shape.heads, .type = a.sinks.dtype()},
        stream);
  plan.forward->run(a.libraries->state<FusedAttention>().handle(stream), {.qkv = a.qkv.raw(),
                                                                          .out = a.out.raw(),
                                                                          .stats = a.lse.data<float>(),
                                                                          .sinks = a.sinks ? workspace.own : nullptr,
                                                                          .workspace = workspace.library});
}

void fused_backward(AttentionPlan& plan, const AttentionBackward& a, StreamRef stream) {
  const FusedWorkspace workspace(a.workspace, a.shape);
  plan.backward->run(a.libraries->state<FusedAttention>().handle(stream), {.qkv = a.qkv.raw(),
                                                                           .out = a.out.raw(),
                                                                           .stats = a.lse.data<float>(),
                                                                           .d_out = a.d_out.raw(),
                                                                           .d_qkv = a.d_qkv.raw(),
                                                                           .workspace = workspace.library});
  if (a.d_sinks) launch_sink_gradients(launch_of(a), stream);
}

}  // namespace

size_t attention_workspace_bytes(const AttentionShape& s, DType dtype, Device device, Libraries* libraries) {
  const AttentionPlan* plan = fused_plan(s, {dtype, device}, libraries);
  return plan ? FusedWorkspace::own_bytes(s) + plan->workspace_bytes : delta_bytes(s);
}

void attention_forward(const AttentionForward& a, StreamRef stream) {
  check_storage("attention_forward", {a.qkv.dtype()});
  const timetrial::cuda::DeviceScope scope(stream.device.index);
  if (AttentionPlan* plan = fused_plan(a.shape, {a.qkv.dtype(), stream.device}, a.libraries))
    return fused_forward(*plan, a, stream);
  const AttentionLayout layout = layout_of(a.shape);
  check_shared("attention_forward", a.shape, attention_forward_shared_bytes(layout));
  launch(AttentionForwardLaunch{.out = a.out.raw(),
                                .lse = a.lse.data<float>(),
                                .qkv = a.qkv.raw(),
                                .sinks = a.sinks ? a.sinks.raw() : nullptr,
                                .layout = layout,
                                .type = a.qkv.dtype()},
         stream);
}

void attention_backward(const AttentionBackward& a, StreamRef stream) {
  check_storage("attention_backward", {a.qkv.dtype()});
  const timetrial::cuda::DeviceScope scope(stream.device.index);
  if (AttentionPlan* plan = fused_plan(a.shape, {a.qkv.dtype(), stream.device}, a.libraries))
    return fused_backward(*plan, a, stream);
  check_shared("attention_backward", a.shape, attention_backward_shared_bytes(layout_of(a.shape)));
  TIMETRIAL_CHECK(reinterpret_cast<uintptr_t>(a.workspace.raw()) % alignof(float) == 0,
                  "attention_backward: the workspace is not aligned to 4 bytes");
  launch(launch_of(a), stream);
}

}  // namespace timetrial::ops::cuda
