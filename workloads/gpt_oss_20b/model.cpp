// The assembly of gpt_oss_20b from nn blocks.
// SPDX-License-Identifier: Apache-2.0
#include "workloads/gpt_oss_20b/model.h"

#include <cmath>

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

}  // namespace

GptOss::GptOss(const ModelShape& shape, DType dtype, Device device, const ops::AttentionSettings& attention)
    : shape_(shape),
      context_{
          .parameters = {}, .dtype = dtype, .device = device, .libraries = std::make_shared<ops::Libraries>(attention)},
      rotary_(shape, dtype, device),
      decoder_(context_,
               {.layers = shape.layers,
                .hidden = shape.hidden,
                .vocabulary_rows = shape.vocabulary_rows(),
                .norm_epsilon = shape.norm_epsilon,
                .init_std = shape.init_std},
               [this](int64_t index) { return make_layer(index); }) {}

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
                         rotary_.table());
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

}  // namespace timetrial::gpt_oss_20b
