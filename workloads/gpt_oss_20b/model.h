// gpt_oss_20b: embedding, layers of attention and experts with alternating windows, loss head (spec 1.2, 18.2).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "timetrial/nn/attention.h"
#include "timetrial/nn/embedding.h"
#include "timetrial/nn/loss_head.h"
#include "timetrial/nn/mixture_of_experts.h"
#include "timetrial/nn/transformer_layer.h"
#include "timetrial/train/model.h"

namespace timetrial::gpt_oss_20b {

class GptOss : public Model {
 public:
  // Throws ConfigError for QK-norm, which no block here does yet.
  GptOss(const ModelShape& shape, DType dtype, Device device);
  GptOss(const GptOss&) = delete;  // layers point at its rotary table
  GptOss& operator=(const GptOss&) = delete;

  const ParameterList& parameters() const override { return context_.parameters; }
  void plan_forward(Plan& plan, int64_t tokens) const override;
  void plan_backward(Plan& plan, int64_t tokens) const override;
  void forward(const Tensor& loss, const MicroBatch& batch, Pass& pass) const override;
  void backward(const MicroBatch& batch, double loss_scale, Pass& pass) const override;

 private:
  using Layer = nn::TransformerLayer<nn::Attention, nn::MixtureOfExperts>;
  Layer make_layer(int64_t index);
  // The residual stream after `layer` layers: kept in training, one of two buffers in evaluation.
  Tensor residual(int64_t layer, int64_t tokens, std::vector<Tensor>& evaluation_buffers, Pass& pass) const;

  ModelShape shape_;
  ModuleContext context_;
  OwnedTensor cos_, sin_;
  nn::RotaryTable rotary_;
  nn::Embedding embedding_;
  std::vector<Layer> layers_;
  nn::LossHead head_;
  std::vector<SavedId> residual_;
};

}  // namespace timetrial::gpt_oss_20b
