// The assembly of gpt_oss_20b from nn blocks.
// SPDX-License-Identifier: Apache-2.0
#include "workloads/gpt_oss_20b/model.h"

#include <cmath>
#include <utility>

#include "timetrial/ops/rope.h"

namespace timetrial::gpt_oss_20b {

namespace {

ops::GatedActivationKind activation_kind(Activation activation) {
  switch (activation) {
    case Activation::swiglu:
      return ops::GatedActivationKind::swiglu;
    case Activation::clamped_swiglu:
      return ops::GatedActivationKind::clamped_swiglu;
  }
  throw Error("unknown activation");
}

ops::RopeFrequencies rope_of(const ModelShape& shape) {
  const RopeSpec& rope = shape.rope;
  if (rope.kind == RopeKind::plain) return {.head_dim = shape.head_dim, .base = rope.base};
  return {.head_dim = shape.head_dim,
          .base = rope.base,
          .factor = rope.factor,
          .original_length = rope.original_length,
          .beta_fast = rope.beta_fast,
          .beta_slow = rope.beta_slow};
}

DType table_type(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

}  // namespace

GptOss::GptOss(const ModelShape& shape, DType dtype, Device device)
    : shape_(shape),
      context_{.parameters = {}, .dtype = dtype, .device = device},
      cos_(table_type(dtype), {shape.sequence_length, shape.head_dim / 2}, device),
      sin_(table_type(dtype), {shape.sequence_length, shape.head_dim / 2}, device),
      rotary_{.cos = cos_, .sin = sin_},
      embedding_(context_, "embedding", shape.vocabulary, shape.hidden, shape.init_std),
      layers_([&] {
        std::vector<Layer> layers;
        for (int64_t i = 0; i < shape.layers; ++i) layers.push_back(make_layer(i));
        return layers;
      }()),
      head_(context_, "head",
            {.hidden = shape.hidden,
             .vocabulary = shape.vocabulary,
             .norm_epsilon = shape.norm_epsilon,
             .init_std = shape.init_std}) {
  for (int64_t i = 0; i <= shape.layers; ++i) residual_.push_back(context_.saved());
  ops::fill_rope_table({.cos = cos_, .sin = sin_}, rope_of(shape), {.device = device});
}

GptOss::Layer GptOss::make_layer(int64_t index) {
  // Residual output projections start smaller by sqrt(2 layers) (spec 7.1).
  const double output_std = shape_.init_std / std::sqrt(2.0 * static_cast<double>(shape_.layers));
  const auto make_attention = [&](ModuleContext& context, const std::string& name) {
    return nn::Attention(context, name,
                         {.hidden = shape_.hidden,
                          .heads = shape_.heads,
                          .kv_heads = shape_.kv_heads,
                          .head_dim = shape_.head_dim,
                          .sequence_length = shape_.sequence_length,
                          .window_keys = shape_.windowed(index) ? shape_.window_keys : 0,
                          .bias = shape_.linear_bias,
                          .sinks = shape_.sinks,
                          .qk_norm = shape_.qk_norm,
                          .norm_epsilon = shape_.norm_epsilon,
                          .init_std = shape_.init_std,
                          .output_init_std = output_std},
                         rotary_);
  };
  const auto make_experts = [&](ModuleContext& context, const std::string& name) {
    return nn::MixtureOfExperts(context, name,
                                {.hidden = shape_.hidden,
                                 .ffn = shape_.ffn,
                                 .experts = shape_.experts,
                                 .choices = shape_.experts_per_token,
                                 .activation = activation_kind(shape_.activation),
                                 .bias = shape_.linear_bias,
                                 .init_std = shape_.init_std,
                                 .output_init_std = output_std,
                                 .router_bias_std = shape_.router_bias_std});
  };
  return Layer(context_, fmt::format("layers.{}", index),
               {.hidden = shape_.hidden, .norm_epsilon = shape_.norm_epsilon}, make_attention, make_experts);
}

void GptOss::plan_forward(Plan& plan, int64_t tokens) const {
  const Shape stream{tokens, shape_.hidden};
  if (plan.mode() == Mode::evaluate) {
    plan.temporary(context_.dtype, stream);
    plan.temporary(context_.dtype, stream);
  }
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (plan.mode() == Mode::train) plan.keep(residual_[i], context_.dtype, stream);
    Plan::Scope scope(plan);
    layers_[i].plan_forward(plan, tokens);
  }
  if (plan.mode() == Mode::train) plan.keep(residual_.back(), context_.dtype, stream);
  Plan::Scope scope(plan);
  head_.plan_forward(plan, tokens);
}

Tensor GptOss::residual(int64_t layer, int64_t tokens, std::vector<Tensor>& evaluation_buffers, Pass& pass) const {
  const Shape stream{tokens, shape_.hidden};
  if (pass.mode == Mode::train) return pass.keep(residual_[static_cast<size_t>(layer)], context_.dtype, stream);
  if (evaluation_buffers.size() < 2) evaluation_buffers.push_back(pass.temporary(context_.dtype, stream));
  return evaluation_buffers[static_cast<size_t>(layer % 2)];
}

void GptOss::forward(const Tensor& loss, const MicroBatch& batch, Pass& pass) const {
  const int64_t tokens = batch.ids.dim(0);
  Arena::Scope all(pass.scratch);
  std::vector<Tensor> buffers;
  Tensor x = residual(0, tokens, buffers, pass);
  embedding_.forward(x, batch.ids, pass);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Tensor next = residual(static_cast<int64_t>(i) + 1, tokens, buffers, pass);
    Arena::Scope scope(pass.scratch);
    layers_[i].forward(next, x, pass);
    x = next;
  }
  Arena::Scope scope(pass.scratch);
  head_.forward(loss, x, batch.labels, pass);
}

void GptOss::plan_backward(Plan& plan, int64_t tokens) const {
  Plan::Scope all(plan);
  plan.temporary(context_.dtype, {tokens, shape_.hidden});
  plan.temporary(context_.dtype, {tokens, shape_.hidden});
  head_.plan_backward(plan, tokens);
  plan.weights_done();
  for (size_t i = layers_.size(); i-- > 0;) {
    layers_[i].plan_backward(plan, tokens);
    plan.weights_done();
  }
}

void GptOss::backward(const MicroBatch& batch, double loss_scale, Pass& pass) const {
  const Shape stream{batch.ids.dim(0), shape_.hidden};
  Arena::Scope all(pass.scratch);
  Tensor d_out = pass.temporary(context_.dtype, stream), d_in = pass.temporary(context_.dtype, stream);
  head_.backward_input(d_out, batch.labels, loss_scale, pass);
  head_.backward_weights(pass);
  pass.deferred.release();
  for (size_t i = layers_.size(); i-- > 0;) {
    layers_[i].backward_input(d_in, d_out, pass);
    layers_[i].backward_weights(pass);
    pass.deferred.release();
    std::swap(d_in, d_out);
  }
  embedding_.backward_weights(d_out, batch.ids, pass);
}

}  // namespace timetrial::gpt_oss_20b
