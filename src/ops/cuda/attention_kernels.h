// Launchers of the attention kernels: plain pointers to device memory. `type` is f32 or bf16, the storage of every void
// pointer unless said otherwise. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

// AttentionShape with widths worked out; rows of qkv are [q | k | v].
struct AttentionLayout {
  int64_t batch, length, heads, kv_heads, head_dim, value_dim, window_keys;  // window 0: all earlier keys
  float scale;
  int64_t qkv_width, out_width;
};

// Shared memory of a block, bytes; a device may have less.
size_t attention_forward_shared_bytes(const AttentionLayout& layout);
size_t attention_backward_shared_bytes(const AttentionLayout& layout);

struct AttentionForwardLaunch {
  void* out;                // (batch * length, out_width)
  float* lse;               // (batch, heads, length)
  const void *qkv, *sinks;  // (batch * length, qkv_width), (heads) or null
  AttentionLayout layout;
  DType type;
};
void launch(const AttentionForwardLaunch& a, StreamRef stream);

struct AttentionBackwardLaunch {
  void *d_qkv, *d_sinks;  // (batch * length, qkv_width), (heads) or null
  float* delta;           // (batch, heads, length), scratch
  const void *d_out, *out, *qkv, *sinks;
  const float* lse;
  AttentionLayout layout;
  DType type, d_sinks_type;
};
void launch(const AttentionBackwardLaunch& a, StreamRef stream);
// d_sinks alone, bit-equal from run to run; fills delta on the way.
void launch_sink_gradients(const AttentionBackwardLaunch& a, StreamRef stream);

// Sinks as fp32.
struct WidenSinksLaunch {
  float* out;         // (heads)
  const void* sinks;  // (heads)
  int64_t heads;
  DType type;
};
void launch(const WidenSinksLaunch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
