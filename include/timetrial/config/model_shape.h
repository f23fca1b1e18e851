// ModelShape: the numbers that define one model, and what follows from them alone: parameters and FLOPs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "timetrial/base/json.h"

namespace timetrial {

enum class Activation { swiglu, clamped_swiglu };  // SiLU(g)·u; min(g,7)·σ(1.702 g)·(clamp(u,±7)+1)
enum class RopeKind { plain, yarn, llama31 };

struct RopeSpec {
  RopeKind kind = RopeKind::plain;
  double base = 0;
  double factor = 1, original_length = 0;                      // YaRN and Llama 3.1
  double beta_fast = 32, beta_slow = 1;                        // YaRN only
  double low_frequency_factor = 1, high_frequency_factor = 4;  // Llama 3.1 only (spec 2.2)
  bool operator==(const RopeSpec&) const = default;
};

// A decoder-only transformer with grouped-query attention and, in every layer, experts (spec 1.2 and 18.2) or, with no
// experts, one gated feed-forward (spec 1.1). All counts are exact.
struct ModelShape {
  int64_t layers = 0, hidden = 0;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  int64_t experts = 0, experts_per_token = 0, ffn = 0;  // experts 0: ffn is the width of the dense feed-forward
  int64_t vocabulary = 0, sequence_length = 0;          // vocabulary: token ids are below it
  int64_t vocabulary_multiple = 1;                      // embedding and head have padded rows up to a multiple of this
  int64_t window_keys = 0;  // keys a windowed layer sees, itself among them; odd 1-based layers are windowed; 0: none
  bool qk_norm = false, linear_bias = false, sinks = false;
  Activation activation = Activation::swiglu;
  RopeSpec rope;
  double norm_epsilon = 0;
  double init_std = 0;  // residual output projections: init_std / sqrt(2 layers)
  double router_bias_std = 0;
  bool operator==(const ModelShape&) const = default;

  bool windowed(int64_t layer) const { return window_keys > 0 && layer % 2 == 0; }  // layer counts from 0
  // Rows of embedding and head. Padded ones are never a label, but stand in every softmax (spec 1.1).
  int64_t vocabulary_rows() const {
    return (vocabulary + vocabulary_multiple - 1) / vocabulary_multiple * vocabulary_multiple;
  }
  int64_t qkv_width() const { return (heads + 2 * kv_heads) * head_dim; }
};

struct ModelCounts {
  int64_t total = 0;   // all parameters
  int64_t active = 0;  // with experts_per_token experts; both embeddings
  int64_t matmul = 0;  // N_mm of spec 14: active weights that take part in products, no embedding, norms, biases
  double attention_train_flops_per_token = 0;
  double train_flops_per_token = 0;  // 6 N_mm + attention over visible keys only (spec 14); evaluation is one third
};

// Spec 1.2 and 14. Only visible keys count (causal, window).
ModelCounts count(const ModelShape& shape);

// Mean number of keys a query sees in a sequence: (s+1)/2, or with a window of w keys (w(w+1)/2 + (s-w)w)/s. A window
// of 0, or of the whole sequence and more, is none.
double mean_visible_keys(int64_t sequence_length, int64_t window_keys_or_zero);

// Throws ConfigError naming the field (`path` + "/heads" and so on), both numbers and a fix: heads not a multiple of
// kv_heads, top-k above experts, odd head_dim, non-positive extents, rotary numbers that fit nothing or that the kind
// would ignore, a router bias spread without biases, more than 2^60 parameters.
void validate(const ModelShape& shape, const std::string& path);

}  // namespace timetrial
