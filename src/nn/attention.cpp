// Attention's forward and the split backward.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/nn/attention.h"

#include <cmath>

#include "timetrial/ops/elementwise.h"
#include "timetrial/ops/rope.h"

namespace timetrial::nn {

namespace {

std::optional<HeadNorm> make_qk_norm(ModuleContext& context, const std::string& name, const AttentionOptions& o) {
  if (!o.qk_norm) return std::nullopt;
  return HeadNorm(context, name,
                  {.heads = o.heads, .kv_heads = o.kv_heads, .head_dim = o.head_dim, .epsilon = o.norm_epsilon});
}

}  // namespace

Attention::Attention(ModuleContext& context, const std::string& name, const AttentionOptions& o,
                     const RotaryTable& rotary)
    : options_(o),
      rotary_(rotary),
      dtype_(context.dtype),
      fine_(context.fine()),
      device_(context.device),
      libraries_(context.libraries),
      qkv_(context, name + ".qkv",
           {.inputs = o.hidden,
            .outputs = (o.heads + 2 * o.kv_heads) * o.head_dim,
            .bias = o.bias,
            .init_std = o.init_std}),
      qk_norm_(make_qk_norm(context, name, o)),
      output_(context, name + ".output",
              {.inputs = o.heads * o.head_dim, .outputs = o.hidden, .bias = o.bias, .init_std = o.output_init_std}),
      saved_qkv_(context.saved()),
      saved_core_(context.saved()),
      saved_lse_(context.saved()),
      d_qkv_(context.saved()),
      d_sinks_(context.saved()),
      projected_(context.saved()),
      d_projected_(context.saved()) {
  if (o.sinks) sinks_ = context.parameters.add({.name = name + ".sinks", .shape = {o.heads}, .decay = false});
}

ops::AttentionShape Attention::shape(int64_t tokens) const {
  TIMETRIAL_CHECK(tokens % options_.sequence_length == 0, "{} tokens are no whole sequences of {}", tokens,
                  options_.sequence_length);
  return {.batch = tokens / options_.sequence_length,
          .length = options_.sequence_length,
          .heads = options_.heads,
          .kv_heads = options_.kv_heads,
          .head_dim = options_.head_dim,
          .window_keys = options_.window_keys,
          .scale = 1 / std::sqrt(static_cast<double>(options_.head_dim)),
          .sinks = options_.sinks};
}

size_t Attention::workspace_bytes(int64_t tokens) const {
  return ops::attention_workspace_bytes(shape(tokens), dtype_, device_, libraries_.get());
}

Tensor Attention::workspace(int64_t tokens, Pass& pass) const {
  return pass.temporary(DType::f32, {static_cast<int64_t>((workspace_bytes(tokens) + 3) / 4)});
}

// Queries, keys and values as rotation wants them.
void Attention::project(const Tensor& qkv, const Tensor& in, Pass& pass) const {
  if (!qk_norm_) return qkv_.forward(qkv, in, pass);
  const Tensor projected = pass.keep(projected_, dtype_, qkv.shape());
  qkv_.forward(projected, in, pass);
  qk_norm_->forward(qkv, projected, pass);
}

void Attention::project_backward(const Tensor& d_in, const Tensor& d_qkv, Pass& pass) const {
  if (!qk_norm_) return qkv_.backward_input(d_in, d_qkv, pass);
  const Tensor d_projected = pass.deferred.keep(d_projected_, dtype_, d_qkv.shape());
  qk_norm_->backward_input(d_projected, d_qkv, pass);
  qkv_.backward_input(d_in, d_projected, pass);
}

void Attention::plan_forward(Plan& plan, int64_t tokens) const {
  plan.keep(saved_qkv_, dtype_, {tokens, shape(tokens).qkv_width()});
  if (qk_norm_) plan.keep(projected_, dtype_, {tokens, shape(tokens).qkv_width()});
  qkv_.plan_forward(plan, tokens);
  if (qk_norm_) qk_norm_->plan_forward(plan, tokens);
  plan.keep(saved_core_, dtype_, {tokens, options_.heads * options_.head_dim});
  plan.keep(saved_lse_, fine_, {tokens * options_.heads});
  {
    Plan::Scope scope(plan);
    plan.temporary_bytes(workspace_bytes(tokens));
  }
  output_.plan_forward(plan, tokens);
}

void Attention::forward(const Tensor& out, const Tensor& in, Pass& pass) const {
  const int64_t tokens = in.dim(0);
  const ops::AttentionShape s = shape(tokens);
  const Tensor qkv = pass.keep(saved_qkv_, dtype_, {tokens, s.qkv_width()});
  project(qkv, in, pass);
  ops::rope_forward({.x = qkv, .cos = rotary_.cos, .sin = rotary_.sin, .heads = s.heads + s.kv_heads}, pass.stream);
  const Tensor core = pass.keep(saved_core_, dtype_, {tokens, s.heads * s.head_dim});
  const Tensor lse = pass.keep(saved_lse_, fine_, {tokens * s.heads}).reshape({s.batch, s.heads, s.length});
  {
    Arena::Scope scope(pass.scratch);
    ops::attention_forward({.out = core,
                            .lse = lse,
                            .qkv = qkv,
                            .sinks = sinks(pass),
                            .workspace = workspace(tokens, pass),
                            .shape = s,
                            .libraries = libraries_.get()},
                           pass.stream);
  }
  output_.forward(out, core, pass);
}

void Attention::plan_backward(Plan& plan, int64_t tokens) const {
  Plan::Scope scope(plan);
  plan.temporary(dtype_, {tokens, options_.heads * options_.head_dim});
  plan.defer(d_qkv_, dtype_, {tokens, shape(tokens).qkv_width()});
  if (sinks_) plan.defer(d_sinks_, fine_, {options_.heads});
  if (qk_norm_) {
    plan.defer(d_projected_, dtype_, {tokens, shape(tokens).qkv_width()});
    qk_norm_->plan_backward(plan, tokens);
  }
  plan.temporary_bytes(workspace_bytes(tokens));
}

void Attention::backward_input(const Tensor& d_in, const Tensor& d_out, Pass& pass) const {
  const int64_t tokens = d_out.dim(0);
  const ops::AttentionShape s = shape(tokens);
  Arena::Scope scope(pass.scratch);
  const Tensor d_core = pass.temporary(dtype_, {tokens, s.heads * s.head_dim});
  output_.backward_input(d_core, d_out, pass);
  const Tensor d_qkv = pass.deferred.keep(d_qkv_, dtype_, {tokens, s.qkv_width()});
  const Tensor d_sinks = sinks_ ? pass.deferred.keep(d_sinks_, fine_, {s.heads}) : Tensor();
  ops::attention_backward({.d_qkv = d_qkv,
                           .d_sinks = d_sinks,
                           .d_out = d_core,
                           .out = pass.stash.saved(saved_core_),
                           .lse = pass.stash.saved(saved_lse_).reshape({s.batch, s.heads, s.length}),
                           .qkv = pass.stash.saved(saved_qkv_),
                           .sinks = sinks(pass),
                           .workspace = workspace(tokens, pass),
                           .shape = s,
                           .libraries = libraries_.get()},
                          pass.stream);
  ops::rope_backward({.x = d_qkv, .cos = rotary_.cos, .sin = rotary_.sin, .heads = s.heads + s.kv_heads}, pass.stream);
  project_backward(d_in, d_qkv, pass);
}

void Attention::backward_weights(Pass& pass) const {
  output_.backward_weights(pass);
  qkv_.backward_weights(pass);
  if (qk_norm_) qk_norm_->backward_weights(pass);
  if (!sinks_) return;
  const Tensor gradient = pass.parameters.grad(*sinks_);
  ops::add({.out = gradient, .a = gradient, .b = pass.deferred.saved(d_sinks_)}, pass.stream);
  pass.parameters.grad_ready(*sinks_);
}

}  // namespace timetrial::nn
