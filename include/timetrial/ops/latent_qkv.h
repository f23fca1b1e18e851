// Queries, keys and values of latent attention (spec 2.5): decoupled rotary part turned, its one key shared by all
// heads. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

struct LatentShape {
  int64_t heads;                          // H, of queries, keys and values alike
  int64_t nope_dim, rope_dim, value_dim;  // channels without position, with position, of values
  int64_t head_dim() const { return nope_dim + rope_dim; }
  int64_t query_width() const { return heads * head_dim(); }
  int64_t key_value_width() const { return heads * (nope_dim + value_dim); }
  int64_t qkv_width() const { return heads * (2 * head_dim() + value_dim); }
};

// Row n is position n mod T. Rotary channels turn in adjacent pairs (x_2i, x_2i+1) by position * frequency_i, the
// layout of published weights; scores equal those of any other pairing. Throws Error when shapes or types do not fit.
struct LatentQkvForward {
  Tensor qkv;              // (N, H d + H d + H dv) as [q | k | v], what attention_forward reads
  Tensor q, kv, key_rope;  // (N, H d) heads as [nope | rope]; (N, H (nope + dv)) as [nope | value]; (N, rope)
  Tensor cos, sin;         // (T, rope/2) fp32, or f64 when qkv is
  LatentShape shape;
};
void latent_qkv_forward(const LatentQkvForward& a, StreamRef stream);

// d_key_rope is the sum over heads, in their order. All outputs are overwritten.
struct LatentQkvBackward {
  Tensor d_q, d_kv, d_key_rope;  // as q, kv, key_rope
  Tensor d_qkv;                  // as qkv
  Tensor cos, sin;
  LatentShape shape;
};
void latent_qkv_backward(const LatentQkvBackward& a, StreamRef stream);

}  // namespace timetrial::ops
