// gpt_oss_20b: embedding, layers of attention and experts with alternating windows, loss head (spec 1.2, 18.2).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/nn/decoder.h"
#include "timetrial/nn/mixture_of_experts.h"
#include "timetrial/nn/rotary.h"
#include "timetrial/nn/transformer_layer.h"
#include "timetrial/train/model.h"

namespace timetrial::gpt_oss_20b {

class GptOss : public Model {
 public:
  GptOss(const ModelShape& shape, DType dtype, Device device, const ops::AttentionSettings& attention = {});

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
  std::vector<Tensor> expert_begins(const Pass& pass) const override {
    std::vector<Tensor> begins;
    for (const Layer& layer : decoder_.layers()) begins.push_back(layer.feed_forward().expert_begin(pass));
    return begins;
  }

 private:
  using Layer = nn::TransformerLayer<nn::Attention, nn::MixtureOfExperts>;
  Layer make_layer(int64_t index);

  ModelShape shape_;
  ModuleContext context_;
  nn::Rotary rotary_;
  nn::Decoder<Layer> decoder_;
};

}  // namespace timetrial::gpt_oss_20b
