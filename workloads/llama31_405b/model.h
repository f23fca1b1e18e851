// llama31_405b: embedding, layers of grouped-query attention and a dense SwiGLU feed-forward, loss head (spec 1.1).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/nn/decoder.h"
#include "timetrial/nn/mlp.h"
#include "timetrial/nn/rotary.h"
#include "timetrial/nn/transformer_layer.h"
#include "timetrial/train/model.h"

namespace timetrial::llama31_405b {

class Llama : public Model {
 public:
  // Throws ConfigError for what a Llama does not have: experts, biases, sinks, windows, QK-norm, another activation.
  Llama(const ModelShape& shape, DType dtype, Device device, const ops::AttentionSettings& attention = {});

  const ParameterList& parameters() const override { return context_.parameters; }
  std::vector<std::string> choices() const override { return context_.libraries->choices(); }
  void plan_forward(Plan& plan, int64_t tokens) const override { decoder_.plan_forward(plan, tokens); }
  void plan_backward(Plan& plan, int64_t tokens) const override { decoder_.plan_backward(plan, tokens); }
  void forward(const Tensor& loss, const MicroBatch& batch, Pass& pass) const override {
    decoder_.forward(loss, batch.ids, batch.labels, pass);
  }
  void backward(const MicroBatch& batch, double loss_scale, Pass& pass) const override {
    decoder_.backward(batch.ids, batch.labels, loss_scale, pass);
  }
  SavedId logits() const override { return decoder_.head().logits(); }

 private:
  using Layer = nn::TransformerLayer<nn::Attention, nn::Mlp>;
  Layer make_layer(int64_t index);

  ModelShape shape_;
  ModuleContext context_;
  nn::Rotary rotary_;
  nn::Decoder<Layer> decoder_;
};

}  // namespace timetrial::llama31_405b
