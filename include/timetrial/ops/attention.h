// Causal grouped-query attention with an optional window and optional sinks (spec 2, 2.3 to 2.5).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>

#include "timetrial/ops/libraries.h"
#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

struct AttentionShape {
  int64_t batch, length;              // B sequences of T tokens, rows b*T + t
  int64_t heads, kv_heads, head_dim;  // query head h reads kv head h / (heads / kv_heads)
  int64_t window_keys;                // keys a query sees, itself among them; 0: all earlier ones
  double scale;                       // on q.k; sinks are not scaled
  int64_t value_channels = 0;         // of a value head; 0: as many as head_dim
  bool sinks = false;                 // whether the calls bring sinks
  int64_t value_dim() const { return value_channels == 0 ? head_dim : value_channels; }
  int64_t qkv_width() const { return (heads + kv_heads) * head_dim + kv_heads * value_dim(); }
  int64_t out_width() const { return heads * value_dim(); }
  auto operator<=>(const AttentionShape&) const = default;
};

// Scratch that forward and backward need, bytes. On the CPU it grows with the thread count, never with T * T. On CUDA
// the libraries' settings decide who computes (device.attention), and their choices() then say who does; without
// libraries our own kernels do. cuDNN's deterministic backward takes about 2 B H T^2 bytes on Hopper.
size_t attention_workspace_bytes(const AttentionShape& shape, DType dtype, Device device,
                                 Libraries* libraries = nullptr);

// A sink is one more logit per head with no value: P_ij = e^S_ij / (sum_j e^S_ij + e^sink_h).
struct AttentionForward {
  Tensor out, lse;    // (B*T, H*dv), (B, H, T) fp32 (f64 when qkv is), log-sum-exp with the sink
  Tensor qkv, sinks;  // (B*T, H d + KV d + KV dv) as [q | k | v], (H) optional
  Tensor workspace;   // at least attention_workspace_bytes, any type
  AttentionShape shape;
  Libraries* libraries = nullptr;  // as given to attention_workspace_bytes
};
void attention_forward(const AttentionForward& a, StreamRef stream);

// Recomputes P from lse. d_qkv and d_sinks are overwritten.
struct AttentionBackward {
  Tensor d_qkv, d_sinks;  // as qkv, (H) optional
  Tensor d_out, out, lse, qkv, sinks;
  Tensor workspace;
  AttentionShape shape;
  Libraries* libraries = nullptr;
};
void attention_backward(const AttentionBackward& a, StreamRef stream);

}  // namespace timetrial::ops
