// The assembly of deepseekv3_671b from nn blocks.
// SPDX-License-Identifier: Apache-2.0
#include "workloads/deepseekv3_671b/model.h"

#include <cmath>
#include <tuple>
#include <utility>

#include "timetrial/ops/rope.h"

namespace timetrial::deepseekv3_671b {

namespace {

ModelShape checked(const ModelShape& shape) {
  const std::tuple<const char*, bool, const char*> foreign[] = {
      {"/model/latent/query_rank", !shape.latent.on(), "has latent attention; give all of model.latent"},
      {"/model/experts", shape.experts == 0, "has experts; give at least 1"},
      {"/model/router/kind", shape.router.kind != RouterKind::sigmoid, "has a sigmoid router; set it to sigmoid"},
      {"/model/activation", shape.activation != Activation::swiglu, "has plain SwiGLU; set it to swiglu"},
      {"/model/vocabulary_multiple", shape.vocabulary_multiple != 1, "has no padded vocabulary rows; set it to 1"},
  };
  for (const auto& [path, wrong, message] : foreign)
    if (wrong) throw ConfigError(path, fmt::format("deepseekv3_671b {}", message));
  return shape;
}

double score_factor(const ModelShape& shape) {
  if (shape.rope.kind != RopeKind::yarn) return 1;
  return ops::rope_score_factor({.head_dim = shape.rotary_dim(),
                                 .base = shape.rope.base,
                                 .factor = shape.rope.factor,
                                 .original_length = shape.rope.original_length,
                                 .mscale_all_dim = shape.rope.mscale_all_dim});
}

int uses(const ModelShape& shape) { return 1 + static_cast<int>(shape.multi_token.modules); }

}  // namespace

DeepSeek::DeepSeek(const ModelShape& shape, DType dtype, Device device, const ops::AttentionSettings& attention)
    : shape_(checked(shape)),
      context_{
          .parameters = {}, .dtype = dtype, .device = device, .libraries = std::make_shared<ops::Libraries>(attention)},
      rotary_(shape, dtype, device),
      embedding_(context_, "embedding", shape.vocabulary, shape.hidden, shape.init_std, uses(shape)),
      dense_([&] {
        std::vector<DenseLayer> layers;
        for (int64_t i = 0; i < shape.dense_layers; ++i)
          layers.push_back(make_dense_layer(fmt::format("layers.{}", i)));
        return layers;
      }()),
      sparse_([&] {
        std::vector<ExpertLayer> layers;
        for (int64_t i = shape.dense_layers; i < shape.layers; ++i)
          layers.push_back(make_expert_layer(fmt::format("layers.{}", i)));
        return layers;
      }()),
      norm_(context_, "head.norm", shape.hidden, shape.norm_epsilon),
      head_(context_, "head.output",
            {.hidden = shape.hidden, .vocabulary = shape.vocabulary, .init_std = shape.init_std, .uses = uses(shape)}),
      state_(context_.saved()),
      d_state_(context_.saved()),
      d_predicted_(context_.saved()) {
  for (int64_t i = 0; i <= shape.layers; ++i) residual_.push_back(context_.saved());
  if (shape.multi_token.modules == 0) return;
  prediction_.emplace_back(context_, "prediction",
                           nn::MultiTokenPredictionOptions{.hidden = shape.hidden,
                                                           .sequence_length = shape.sequence_length,
                                                           .weight = shape.multi_token.weight,
                                                           .norm_epsilon = shape.norm_epsilon,
                                                           .init_std = shape.init_std},
                           embedding_, head_, [this](const std::string& name) { return make_expert_layer(name); });
}

// Only for shapes trained from scratch, by the house's rule for all workloads; the benchmark starts from a checkpoint.
double DeepSeek::output_std() const { return shape_.init_std / std::sqrt(2.0 * static_cast<double>(shape_.layers)); }

nn::LatentAttention DeepSeek::make_attention(const std::string& name) {
  const LatentSpec& latent = shape_.latent;
  return nn::LatentAttention(context_, name,
                             {.hidden = shape_.hidden,
                              .heads = shape_.heads,
                              .query_rank = latent.query_rank,
                              .kv_rank = latent.kv_rank,
                              .nope_dim = latent.nope_dim,
                              .rope_dim = latent.rope_dim,
                              .value_dim = latent.value_dim,
                              .sequence_length = shape_.sequence_length,
                              .norm_epsilon = shape_.norm_epsilon,
                              .score_factor = score_factor(shape_),
                              .init_std = shape_.init_std,
                              .output_init_std = output_std()},
                             rotary_.table());
}

nn::MixtureOfExperts DeepSeek::make_experts(const std::string& name) {
  const RouterSpec& router = shape_.router;
  return nn::MixtureOfExperts(context_, name,
                              {.hidden = shape_.hidden,
                               .ffn = shape_.ffn,
                               .experts = shape_.experts,
                               .choices = shape_.experts_per_token,
                               .activation = ops::GatedActivationKind::swiglu,
                               .init_std = shape_.init_std,
                               .output_init_std = output_std(),
                               .shared_ffn = shape_.shared_ffn,
                               .sigmoid_router = nn::SigmoidRouterOptions{.hidden = shape_.hidden,
                                                                          .experts = shape_.experts,
                                                                          .choices = shape_.experts_per_token,
                                                                          .groups = router.groups,
                                                                          .kept_groups = router.kept_groups,
                                                                          .sequence_length = shape_.sequence_length,
                                                                          .scaling = router.scaling,
                                                                          .balance_coefficient = router.aux_loss,
                                                                          .bias_rate = router.bias_rate,
                                                                          .init_std = shape_.init_std}});
}

DeepSeek::DenseLayer DeepSeek::make_dense_layer(const std::string& layer) {
  return DenseLayer(
      context_, layer, {.hidden = shape_.hidden, .norm_epsilon = shape_.norm_epsilon},
      [&](ModuleContext&, const std::string& name) { return make_attention(name); },
      [&](ModuleContext& context, const std::string& name) {
        return nn::Mlp(context, name,
                       {.hidden = shape_.hidden,
                        .ffn = shape_.dense_ffn,
                        .init_std = shape_.init_std,
                        .output_init_std = output_std()});
      });
}

DeepSeek::ExpertLayer DeepSeek::make_expert_layer(const std::string& layer) {
  return ExpertLayer(
      context_, layer, {.hidden = shape_.hidden, .norm_epsilon = shape_.norm_epsilon},
      [&](ModuleContext&, const std::string& name) { return make_attention(name); },
      [&](ModuleContext&, const std::string& name) { return make_experts(name); });
}

void DeepSeek::plan_forward(Plan& plan, int64_t tokens) const {
  const Shape stream{tokens, shape_.hidden};
  Plan::Scope all(plan);
  if (plan.mode() == Mode::evaluate)
    for (int buffer = 0; buffer < 2; ++buffer) plan.temporary(context_.dtype, stream);
  for (size_t i = 0; i < layers(); ++i) {
    if (plan.mode() == Mode::train) plan.keep(residual_[i], context_.dtype, stream);
    Plan::Scope scope(plan);
    with_layer(i, [&](const auto& layer) { layer.plan_forward(plan, tokens); });
  }
  if (plan.mode() == Mode::train) plan.keep(residual_.back(), context_.dtype, stream);
  Plan::Scope scope(plan);
  plan.keep(state_, context_.dtype, stream);
  norm_.plan_forward(plan, tokens);
  head_.plan_forward(plan, tokens);
  if (plan.mode() == Mode::evaluate) return;
  for (const Prediction& prediction : prediction_) prediction.plan_forward(plan, tokens);
}

Tensor DeepSeek::residual(size_t index, int64_t tokens, std::vector<Tensor>& buffers, Pass& pass) const {
  const Shape stream{tokens, shape_.hidden};
  if (pass.mode == Mode::train) return pass.keep(residual_[index], context_.dtype, stream);
  if (buffers.size() < 2) buffers.push_back(pass.temporary(context_.dtype, stream));
  return buffers[index % 2];
}

void DeepSeek::forward(const Tensor& loss, const MicroBatch& batch, Pass& pass) const {
  const int64_t tokens = batch.ids.dim(0);
  Arena::Scope all(pass.scratch);
  std::vector<Tensor> buffers;
  Tensor x = residual(0, tokens, buffers, pass);
  embedding_.forward(x, batch.ids, pass);
  for (size_t i = 0; i < layers(); ++i) {
    const Tensor next = residual(i + 1, tokens, buffers, pass);
    Arena::Scope scope(pass.scratch);
    with_layer(i, [&](const auto& layer) { layer.forward(next, x, pass); });
    x = next;
  }
  Arena::Scope scope(pass.scratch);
  const Tensor state = pass.keep(state_, context_.dtype, x.shape());
  norm_.forward(state, x, pass);
  head_.forward(loss, state, batch.labels, pass);
  if (pass.mode == Mode::evaluate) return;
  for (const Prediction& prediction : prediction_) prediction.forward(state, batch.ids, batch.labels, pass);
}

void DeepSeek::plan_backward(Plan& plan, int64_t tokens) const {
  const Shape stream{tokens, shape_.hidden};
  Plan::Scope all(plan);
  plan.temporary(context_.dtype, stream);
  plan.temporary(context_.dtype, stream);
  plan.defer(d_state_, context_.dtype, stream);
  for (const Prediction& prediction : prediction_) {
    plan.defer(d_predicted_, context_.dtype, stream);
    prediction.plan_backward(plan, tokens);
  }
  plan.weights_done();
  for (size_t i = layers(); i-- > 0;) {
    with_layer(i, [&](const auto& layer) { layer.plan_backward(plan, tokens); });
    plan.weights_done();
  }
}

void DeepSeek::backward(const MicroBatch& batch, double loss_scale, Pass& pass) const {
  const Shape stream{batch.ids.dim(0), shape_.hidden};
  pass.loss_scale = loss_scale;
  Arena::Scope all(pass.scratch);
  Tensor d_out = pass.temporary(context_.dtype, stream), d_in = pass.temporary(context_.dtype, stream);
  const Tensor d_state = pass.deferred.keep(d_state_, context_.dtype, stream);
  head_.backward_input(d_state, batch.labels, loss_scale, pass);
  head_.backward_weights(pass);
  for (const Prediction& prediction : prediction_) {
    const Tensor d_predicted = pass.deferred.keep(d_predicted_, context_.dtype, stream);
    prediction.backward_input(d_predicted, loss_scale, pass);
    prediction.backward_weights(pass);
    ops::add({.out = d_state, .a = d_state, .b = d_predicted}, pass.stream);
  }
  norm_.backward_input(d_out, d_state, pass);
  norm_.backward_weights(pass);
  pass.deferred.release();
  for (size_t i = layers(); i-- > 0;) {
    with_layer(i, [&](const auto& layer) {
      layer.backward_input(d_in, d_out, pass);
      layer.backward_weights(pass);
    });
    pass.deferred.release();
    std::swap(d_in, d_out);
  }
  embedding_.backward_weights(d_out, batch.ids, pass);
}

AddedLossCounts DeepSeek::added_losses() const {
  const auto predictions = static_cast<int64_t>(prediction_.size());
  const auto routers = static_cast<int64_t>(sparse_.size()) + predictions;
  return {.multi_token = predictions, .balance = shape_.router.aux_loss != 0 ? routers : 0};
}

std::vector<Tensor> DeepSeek::expert_begins(const Pass& pass) const {
  std::vector<Tensor> begins;
  for (const ExpertLayer& layer : sparse_) begins.push_back(layer.feed_forward().expert_begin(pass));
  for (const Prediction& prediction : prediction_)
    begins.push_back(prediction.layer().feed_forward().expert_begin(pass));
  return begins;
}

}  // namespace timetrial::deepseekv3_671b
