// The assembly of llama31_405b from nn blocks.
// SPDX-License-Identifier: Apache-2.0
#include "workloads/llama31_405b/model.h"

#include <cmath>
#include <tuple>

namespace timetrial::llama31_405b {

namespace {

ModelShape checked(const ModelShape& shape) {
  const std::tuple<const char*, bool, const char*> foreign[] = {
      {"/model/experts", shape.experts != 0, "has one dense feed-forward and no experts; set it to 0"},
      {"/model/window_keys", shape.window_keys != 0, "has no windows; set it to 0"},
      {"/model/qk_norm", shape.qk_norm, "has no QK-norm; set it to false"},
      {"/model/linear_bias", shape.linear_bias, "has no biases; set it to false"},
      {"/model/sinks", shape.sinks, "has no sinks; set it to false"},
      {"/model/activation", shape.activation != Activation::swiglu, "has plain SwiGLU; set it to swiglu"},
  };
  for (const auto& [path, wrong, message] : foreign)
    if (wrong) throw ConfigError(path, fmt::format("llama31_405b {}", message));
  return shape;
}

}  // namespace

Llama::Llama(const ModelShape& shape, DType dtype, Device device, const ops::AttentionSettings& attention)
    : shape_(checked(shape)),
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

Llama::Layer Llama::make_layer(int64_t index) {
  // Only for shapes trained from scratch, by the house's rule for all workloads; the benchmark starts from a
  // checkpoint.
  const double output_std = shape_.init_std / std::sqrt(2.0 * static_cast<double>(shape_.layers));
  return Layer(
      context_, fmt::format("layers.{}", index), {.hidden = shape_.hidden, .norm_epsilon = shape_.norm_epsilon},
      [&](ModuleContext& context, const std::string& name) {
        return nn::Attention(context, name,
                             {.hidden = shape_.hidden,
                              .heads = shape_.heads,
                              .kv_heads = shape_.kv_heads,
                              .head_dim = shape_.head_dim,
                              .sequence_length = shape_.sequence_length,
                              .init_std = shape_.init_std,
                              .output_init_std = output_std},
                             rotary_.table());
      },
      [&](ModuleContext& context, const std::string& name) {
        return nn::Mlp(
            context, name,
            {.hidden = shape_.hidden, .ffn = shape_.ffn, .init_std = shape_.init_std, .output_init_std = output_std});
      });
}

}  // namespace timetrial::llama31_405b
