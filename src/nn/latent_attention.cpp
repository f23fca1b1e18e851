// Down, norm, up, attention, out; and the split backward.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/nn/latent_attention.h"

#include <cmath>

#include "timetrial/ops/columns.h"
#include "timetrial/ops/elementwise.h"

namespace timetrial::nn {

LatentAttention::LatentAttention(ModuleContext& context, const std::string& name, const LatentAttentionOptions& o,
                                 const RotaryTable& rotary)
    : options_(o),
      rotary_(rotary),
      dtype_(context.dtype),
      fine_(context.fine()),
      device_(context.device),
      libraries_(context.libraries),
      q_down_(context, name + ".q_down", {.inputs = o.hidden, .outputs = o.query_rank, .init_std = o.init_std}),
      q_norm_(context, name + ".q_norm", o.query_rank, o.norm_epsilon),
      q_up_(context, name + ".q_up",
            {.inputs = o.query_rank, .outputs = heads().query_width(), .init_std = o.init_std}),
      kv_down_(context, name + ".kv_down",
               {.inputs = o.hidden, .outputs = o.kv_rank + o.rope_dim, .init_std = o.init_std}),
      kv_norm_(context, name + ".kv_norm", o.kv_rank, o.norm_epsilon),
      kv_up_(context, name + ".kv_up",
             {.inputs = o.kv_rank, .outputs = heads().key_value_width(), .init_std = o.init_std}),
      output_(context, name + ".output",
              {.inputs = o.heads * o.value_dim, .outputs = o.hidden, .init_std = o.output_init_std}),
      q_latent_(context.saved()),
      q_normed_(context.saved()),
      kv_latent_(context.saved()),
      kv_normed_(context.saved()),
      qkv_(context.saved()),
      core_(context.saved()),
      lse_(context.saved()),
      d_q_(context.saved()),
      d_q_normed_(context.saved()),
      d_q_latent_(context.saved()),
      d_kv_(context.saved()),
      d_kv_normed_(context.saved()),
      d_compressed_(context.saved()) {}

ops::LatentShape LatentAttention::heads() const {
  return {.heads = options_.heads,
          .nope_dim = options_.nope_dim,
          .rope_dim = options_.rope_dim,
          .value_dim = options_.value_dim};
}

ops::AttentionShape LatentAttention::shape(int64_t tokens) const {
  TIMETRIAL_CHECK(tokens % options_.sequence_length == 0, "{} tokens are no whole sequences of {}", tokens,
                  options_.sequence_length);
  const int64_t head_dim = heads().head_dim();
  return {.batch = tokens / options_.sequence_length,
          .length = options_.sequence_length,
          .heads = options_.heads,
          .kv_heads = options_.heads,
          .head_dim = head_dim,
          .window_keys = 0,
          .scale = options_.score_factor / std::sqrt(static_cast<double>(head_dim)),
          .value_channels = options_.value_dim};
}

size_t LatentAttention::workspace_bytes(int64_t tokens) const {
  return ops::attention_workspace_bytes(shape(tokens), dtype_, device_, libraries_.get());
}

Tensor LatentAttention::workspace(int64_t tokens, Pass& pass) const {
  return pass.temporary(DType::f32, {static_cast<int64_t>((workspace_bytes(tokens) + 3) / 4)});
}

void LatentAttention::plan_forward(Plan& plan, int64_t tokens) const {
  const LatentAttentionOptions& o = options_;
  plan.keep(q_latent_, dtype_, {tokens, o.query_rank});
  plan.keep(q_normed_, dtype_, {tokens, o.query_rank});
  q_norm_.plan_forward(plan, tokens);
  plan.keep(kv_latent_, dtype_, {tokens, o.kv_rank});
  plan.keep(kv_normed_, dtype_, {tokens, o.kv_rank});
  plan.keep(qkv_, dtype_, {tokens, heads().qkv_width()});
  {
    Plan::Scope scope(plan);
    plan.temporary(dtype_, {tokens, heads().query_width()});
    plan.temporary(dtype_, {tokens, o.rope_dim});
    {
      Plan::Scope inner(plan);
      plan.temporary(dtype_, {tokens, o.kv_rank + o.rope_dim});
    }
    kv_norm_.plan_forward(plan, tokens);
    plan.temporary(dtype_, {tokens, heads().key_value_width()});
  }
  plan.keep(core_, dtype_, {tokens, o.heads * o.value_dim});
  plan.keep(lse_, fine_, {tokens * o.heads});
  {
    Plan::Scope scope(plan);
    plan.temporary_bytes(workspace_bytes(tokens));
  }
  for (const Linear* linear : {&q_down_, &q_up_, &kv_down_, &kv_up_, &output_}) linear->plan_forward(plan, tokens);
}

void LatentAttention::forward(const Tensor& out, const Tensor& in, Pass& pass) const {
  const LatentAttentionOptions& o = options_;
  const int64_t tokens = in.dim(0);
  const ops::AttentionShape s = shape(tokens);
  const Tensor q_latent = pass.keep(q_latent_, dtype_, {tokens, o.query_rank});
  const Tensor q_normed = pass.keep(q_normed_, dtype_, {tokens, o.query_rank});
  q_down_.forward(q_latent, in, pass);
  q_norm_.forward(q_normed, q_latent, pass);
  const Tensor kv_latent = pass.keep(kv_latent_, dtype_, {tokens, o.kv_rank});
  const Tensor kv_normed = pass.keep(kv_normed_, dtype_, {tokens, o.kv_rank});
  const Tensor qkv = pass.keep(qkv_, dtype_, {tokens, heads().qkv_width()});
  {
    Arena::Scope scope(pass.scratch);
    const Tensor q = pass.temporary(dtype_, {tokens, heads().query_width()});
    q_up_.forward(q, q_normed, pass);
    const Tensor key_rope = pass.temporary(dtype_, {tokens, o.rope_dim});
    {
      Arena::Scope inner(pass.scratch);
      const Tensor compressed = pass.temporary(dtype_, {tokens, o.kv_rank + o.rope_dim});
      kv_down_.forward(compressed, in, pass);
      ops::split_columns({.left = kv_latent, .right = key_rope, .x = compressed}, pass.stream);
    }
    kv_norm_.forward(kv_normed, kv_latent, pass);
    const Tensor kv = pass.temporary(dtype_, {tokens, heads().key_value_width()});
    kv_up_.forward(kv, kv_normed, pass);
    ops::latent_qkv_forward(
        {.qkv = qkv, .q = q, .kv = kv, .key_rope = key_rope, .cos = rotary_.cos, .sin = rotary_.sin, .shape = heads()},
        pass.stream);
  }
  const Tensor core = pass.keep(core_, dtype_, {tokens, s.out_width()});
  const Tensor lse = pass.keep(lse_, fine_, {tokens * s.heads}).reshape({s.batch, s.heads, s.length});
  {
    Arena::Scope scope(pass.scratch);
    ops::attention_forward({.out = core,
                            .lse = lse,
                            .qkv = qkv,
                            .sinks = {},
                            .workspace = workspace(tokens, pass),
                            .shape = s,
                            .libraries = libraries_.get()},
                           pass.stream);
  }
  output_.forward(out, core, pass);
}

void LatentAttention::plan_backward(Plan& plan, int64_t tokens) const {
  const LatentAttentionOptions& o = options_;
  plan.defer(d_q_, dtype_, {tokens, heads().query_width()});
  plan.defer(d_kv_, dtype_, {tokens, heads().key_value_width()});
  Plan::Scope scope(plan);
  plan.temporary(dtype_, {tokens, o.rope_dim});
  {
    Plan::Scope inner(plan);
    plan.temporary(dtype_, {tokens, o.heads * o.value_dim});
    plan.temporary(dtype_, {tokens, heads().qkv_width()});
    plan.temporary_bytes(workspace_bytes(tokens));
  }
  plan.defer(d_q_normed_, dtype_, {tokens, o.query_rank});
  plan.defer(d_q_latent_, dtype_, {tokens, o.query_rank});
  plan.defer(d_kv_normed_, dtype_, {tokens, o.kv_rank});
  plan.defer(d_compressed_, dtype_, {tokens, o.kv_rank + o.rope_dim});
  {
    Plan::Scope inner(plan);
    plan.temporary(dtype_, {tokens, o.kv_rank});
  }
  plan.temporary(dtype_, {tokens, o.hidden});
}

// From the block's output gradient to those of the two up projections and of the shared rotary key.
void LatentAttention::core_backward(const Tensor& d_q, const Tensor& d_kv, const Tensor& d_key_rope,
                                    const Tensor& d_out, Pass& pass) const {
  const int64_t tokens = d_out.dim(0);
  const ops::AttentionShape s = shape(tokens);
  Arena::Scope scope(pass.scratch);
  const Tensor d_core = pass.temporary(dtype_, {tokens, s.out_width()});
  output_.backward_input(d_core, d_out, pass);
  const Tensor d_qkv = pass.temporary(dtype_, {tokens, heads().qkv_width()});
  ops::attention_backward({.d_qkv = d_qkv,
                           .d_sinks = {},
                           .d_out = d_core,
                           .out = pass.stash.saved(core_),
                           .lse = pass.stash.saved(lse_).reshape({s.batch, s.heads, s.length}),
                           .qkv = pass.stash.saved(qkv_),
                           .sinks = {},
                           .workspace = workspace(tokens, pass),
                           .shape = s,
                           .libraries = libraries_.get()},
                          pass.stream);
  ops::latent_qkv_backward({.d_q = d_q,
                            .d_kv = d_kv,
                            .d_key_rope = d_key_rope,
                            .d_qkv = d_qkv,
                            .cos = rotary_.cos,
                            .sin = rotary_.sin,
                            .shape = heads()},
                           pass.stream);
}

void LatentAttention::backward_input(const Tensor& d_in, const Tensor& d_out, Pass& pass) const {
  const LatentAttentionOptions& o = options_;
  const int64_t tokens = d_out.dim(0);
  const Tensor d_q = pass.deferred.keep(d_q_, dtype_, {tokens, heads().query_width()});
  const Tensor d_kv = pass.deferred.keep(d_kv_, dtype_, {tokens, heads().key_value_width()});
  Arena::Scope scope(pass.scratch);
  const Tensor d_key_rope = pass.temporary(dtype_, {tokens, o.rope_dim});
  core_backward(d_q, d_kv, d_key_rope, d_out, pass);

  const Tensor d_q_normed = pass.deferred.keep(d_q_normed_, dtype_, {tokens, o.query_rank});
  q_up_.backward_input(d_q_normed, d_q, pass);
  const Tensor d_q_latent = pass.deferred.keep(d_q_latent_, dtype_, {tokens, o.query_rank});
  q_norm_.backward_input(d_q_latent, d_q_normed, pass);
  q_down_.backward_input(d_in, d_q_latent, pass);

  const Tensor d_kv_normed = pass.deferred.keep(d_kv_normed_, dtype_, {tokens, o.kv_rank});
  kv_up_.backward_input(d_kv_normed, d_kv, pass);
  const Tensor d_compressed = pass.deferred.keep(d_compressed_, dtype_, {tokens, o.kv_rank + o.rope_dim});
  {
    Arena::Scope inner(pass.scratch);
    const Tensor d_kv_latent = pass.temporary(dtype_, {tokens, o.kv_rank});
    kv_norm_.backward_input(d_kv_latent, d_kv_normed, pass);
    ops::join_columns({.out = d_compressed, .left = d_kv_latent, .right = d_key_rope}, pass.stream);
  }
  const Tensor d_in_kv = pass.temporary(dtype_, {tokens, o.hidden});
  kv_down_.backward_input(d_in_kv, d_compressed, pass);
  ops::add({.out = d_in, .a = d_in, .b = d_in_kv}, pass.stream);
}

void LatentAttention::backward_weights(Pass& pass) const {
  output_.backward_weights(pass);
  kv_up_.backward_weights(pass);
  kv_norm_.backward_weights(pass);
  kv_down_.backward_weights(pass);
  q_up_.backward_weights(pass);
  q_norm_.backward_weights(pass);
  q_down_.backward_weights(pass);
}

}  // namespace timetrial::nn
