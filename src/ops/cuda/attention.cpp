// Attention on CUDA: tensors to kernel arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/attention.h"

#include "ops/cuda/arguments.h"
#include "ops/cuda/attention_kernels.h"

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

}  // namespace

size_t attention_workspace_bytes(const AttentionShape& s) {
  return static_cast<size_t>(s.batch * s.heads * s.length) * sizeof(float);
}

void attention_forward(const AttentionForward& a, StreamRef stream) {
  check_storage("attention_forward", {a.qkv.dtype()});
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
  const AttentionLayout layout = layout_of(a.shape);
  check_shared("attention_backward", a.shape, attention_backward_shared_bytes(layout));
  void* const workspace = a.workspace.raw();
  TIMETRIAL_CHECK(reinterpret_cast<uintptr_t>(workspace) % alignof(float) == 0,
                  "attention_backward: the workspace is not aligned to 4 bytes");
  launch(AttentionBackwardLaunch{.d_qkv = a.d_qkv.raw(),
                                 .d_sinks = a.d_sinks ? a.d_sinks.raw() : nullptr,
                                 .delta = static_cast<float*>(workspace),
                                 .d_out = a.d_out.raw(),
                                 .out = a.out.raw(),
                                 .qkv = a.qkv.raw(),
                                 .sinks = a.sinks ? a.sinks.raw() : nullptr,
                                 .lse = a.lse.data<float>(),
                                 .layout = layout,
                                 .type = a.qkv.dtype(),
                                 .d_sinks_type = a.d_sinks ? a.d_sinks.dtype() : DType::f32},
         stream);
}

}  // namespace timetrial::ops::cuda
