// ModelShape: the numbers that define one model, and what follows from them alone: parameters and FLOPs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "timetrial/base/json.h"
#include "timetrial/config/recompute.h"

namespace timetrial {

enum class Activation { swiglu, clamped_swiglu };  // SiLU(g)·u; min(g,7)·σ(1.702 g)·(clamp(u,±7)+1)
enum class RopeKind { plain, yarn, llama31 };

struct RopeSpec {
  RopeKind kind = RopeKind::plain;
  double base = 0;
  double factor = 1, original_length = 0;                      // YaRN and Llama 3.1
  double beta_fast = 32, beta_slow = 1;                        // YaRN only
  double low_frequency_factor = 1, high_frequency_factor = 4;  // Llama 3.1 only (spec 2.2)
  // YaRN only (spec 2.5): whole bounds; the share of the magnitude that acts through the softmax scale.
  bool round_bounds = false;
  double mscale_all_dim = 0;
  bool operator==(const RopeSpec&) const = default;
};

// Latent attention (spec 2.5): queries and keys with values go through latents of these ranks; a head's channels come
// without position, with position (its key part shared by all heads), and as values. All 0: grouped-query attention.
struct LatentSpec {
  int64_t query_rank = 0, kv_rank = 0;
  int64_t nope_dim = 0, rope_dim = 0, value_dim = 0;
  bool operator==(const LatentSpec&) const = default;
  bool on() const { return *this != LatentSpec(); }
};

enum class RouterKind { softmax, sigmoid };  // spec 3.2; spec 3.3

struct RouterSpec {
  RouterKind kind = RouterKind::softmax;
  // Sigmoid only.
  int64_t groups = 1, kept_groups = 1;  // groups of experts, and how many of them a token may use
  double scaling = 1;                   // of the normalised weights
  double aux_loss = 0;                  // coefficient of the sequence auxiliary loss (spec 3.4)
  double bias_rate = 0;                 // step of the expert bias (spec 3.5)
  bool operator==(const RouterSpec&) const = default;
};

// Multi-token prediction (spec 5): one more layer of experts that predicts the token after next, in training alone.
struct MultiTokenSpec {
  int64_t modules = 0;  // 0 or 1
  double weight = 0;    // of its loss
  bool operator==(const MultiTokenSpec&) const = default;
};

// A decoder-only transformer with grouped-query or latent attention and, in every layer, experts (spec 1.2, 1.3, 18.2)
// or, with no experts and in the first dense_layers, one gated feed-forward (spec 1.1, 1.3). All counts are exact.
struct ModelShape {
  int64_t layers = 0, hidden = 0;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  int64_t experts = 0, experts_per_token = 0, ffn = 0;  // experts 0: ffn is the width of the dense feed-forward
  int64_t dense_layers = 0, dense_ffn = 0;  // first layers that have no experts, and the width of their feed-forward
  int64_t shared_ffn = 0;                   // width of the expert that sees every token; 0: none
  LatentSpec latent = {};                   // with it kv_heads is heads, and head_dim is nope_dim + rope_dim
  RouterSpec router = {};
  MultiTokenSpec multi_token = {};
  int64_t vocabulary = 0, sequence_length = 0;  // vocabulary: token ids are below it
  int64_t vocabulary_multiple = 1;              // embedding and head have padded rows up to a multiple of this
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
  bool dense(int64_t layer) const { return experts == 0 || layer < dense_layers; }
  int64_t value_dim() const { return latent.on() ? latent.value_dim : head_dim; }
  int64_t rotary_dim() const { return latent.on() ? latent.rope_dim : head_dim; }  // channels of a head that turn
};

struct ModelCounts {
  int64_t total = 0;   // all parameters, multi-token prediction among them; no buffers
  int64_t active = 0;  // of the main model, with experts_per_token experts; both embeddings
  int64_t matmul = 0;  // N_mm of spec 14, main model: active weights in products, no embedding, norms, biases
  int64_t multi_token = 0, multi_token_matmul = 0;  // own parameters of the prediction module; its N_mm with the head
  int64_t expert_biases = 0;                        // elements of the routers' buffers
  double attention_train_flops_per_token = 0;       // of main model and module
  // 6 N_mm + attention over visible keys only (spec 14), of main model and module. Evaluation: a third of the main
  // model's.
  double train_flops_per_token = 0;
  double multi_token_train_flops_per_token = 0;  // the module's part of that
  double evaluation_flops_per_token = 0;
};

// Spec 1.1 to 1.3 and 14. Only visible keys count (causal, window).
ModelCounts count(const ModelShape& shape);

// Floating-point operations per token of the matrix products and attention that backward runs a second time; no part of
// the model's own (spec 14). Selective recomputation repeats none; full one all of a layer's forward but the routers'
// and the feed-forwards' last.
double recomputed_flops_per_token(const ModelShape& shape, Recompute recompute);

// Mean number of keys a query sees in a sequence: (s+1)/2, or with a window of w keys (w(w+1)/2 + (s-w)w)/s. A window
// of 0, or of the whole sequence and more, is none.
double mean_visible_keys(int64_t sequence_length, int64_t window_keys_or_zero);

// Throws ConfigError naming the field (`path` + "/heads" and so on), both numbers and a fix: heads not a multiple of
// kv_heads, top-k above experts, odd head_dim, non-positive extents, rotary numbers that fit nothing or that the kind
// would ignore, a router bias spread without biases, latents, groups or predictions that do not fit the rest, more than
// 2^60 parameters.
void validate(const ModelShape& shape, const std::string& path);

}  // namespace timetrial
