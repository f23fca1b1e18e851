// LatentAttention: queries, keys and values through low-rank latents, a decoupled rotary key shared by all heads,
// causal attention over heads of unequal key and value width, output projection (spec 2.5). SPDX-License-Identifier:
// Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "timetrial/nn/attention.h"
#include "timetrial/nn/linear.h"
#include "timetrial/nn/norm.h"
#include "timetrial/ops/latent_qkv.h"

namespace timetrial::nn {

struct LatentAttentionOptions {
  int64_t hidden, heads;
  int64_t query_rank, kv_rank;            // widths of the two latents
  int64_t nope_dim, rope_dim, value_dim;  // channels of a head: without position, with position, of values
  int64_t sequence_length;
  double norm_epsilon;      // of the latents' norms
  double score_factor = 1;  // on the softmax scale 1 / sqrt(nope_dim + rope_dim): ops::rope_score_factor
  double init_std = 0, output_init_std = 0;
};

// No biases. Forward's in and backward_input's d_out must live until backward_weights. Nothing is absorbed: training
// runs plain multi-head attention over the unfolded keys and values.
class LatentAttention {
 public:
  // `rotary` holds rope_dim / 2 angles per position. Adds "<name>." + q_down.weight (query_rank, hidden),
  // q_norm.weight, q_up.weight (heads (nope + rope), query_rank), kv_down.weight (kv_rank + rope, hidden),
  // kv_norm.weight, kv_up.weight (heads (nope + value), kv_rank), output.weight (hidden, heads value).
  LatentAttention(ModuleContext& context, const std::string& name, const LatentAttentionOptions& options,
                  const RotaryTable& rotary);

  void plan_forward(Plan& plan, int64_t tokens) const;
  void plan_backward(Plan& plan, int64_t tokens) const;
  void forward(const Tensor& out, const Tensor& in, Pass& pass) const;  // (B*T, hidden) both
  void backward_input(const Tensor& d_in, const Tensor& d_out, Pass& pass) const;
  void backward_weights(Pass& pass) const;

 private:
  ops::LatentShape heads() const;
  ops::AttentionShape shape(int64_t tokens) const;
  size_t workspace_bytes(int64_t tokens) const;
  Tensor workspace(int64_t tokens, Pass& pass) const;
  void core_backward(const Tensor& d_q, const Tensor& d_kv, const Tensor& d_key_rope, const Tensor& d_out,
                     Pass& pass) const;

  LatentAttentionOptions options_;
  const RotaryTable& rotary_;
  DType dtype_, fine_;
  Device device_;
  std::shared_ptr<ops::Libraries> libraries_;
  Linear q_down_;
  Norm q_norm_;
  Linear q_up_, kv_down_;
  Norm kv_norm_;
  Linear kv_up_, output_;
  SavedId q_latent_, q_normed_, kv_latent_, kv_normed_, qkv_, core_, lse_;
  SavedId d_q_, d_q_normed_, d_q_latent_, d_kv_, d_kv_normed_, d_compressed_;
};

}  // namespace timetrial::nn
