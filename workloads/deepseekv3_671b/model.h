// deepseekv3_671b: embedding, dense layers, layers of experts, loss head, and the module that predicts the token after
// next (spec 1.3, 5). SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "timetrial/nn/embedding.h"
#include "timetrial/nn/latent_attention.h"
#include "timetrial/nn/mixture_of_experts.h"
#include "timetrial/nn/multi_token_prediction.h"
#include "timetrial/nn/rotary.h"
#include "timetrial/nn/transformer_layer.h"
#include "timetrial/train/model.h"

namespace timetrial::deepseekv3_671b {

class DeepSeek : public Model {
 public:
  // Throws ConfigError for what this model does not have: other attention, another router, another activation.
  DeepSeek(const ModelShape& shape, DType dtype, Device device, const ops::AttentionSettings& attention = {});

  const ParameterList& parameters() const override { return context_.parameters; }
  std::vector<std::string> choices() const override { return context_.libraries->choices(); }
  void plan_forward(Plan& plan, int64_t tokens) const override;
  void plan_backward(Plan& plan, int64_t tokens) const override;
  // The main model's loss; the prediction module runs in training alone and enters through gradients.
  void forward(const Tensor& loss, const MicroBatch& batch, Pass& pass) const override;
  void backward(const MicroBatch& batch, double loss_scale, Pass& pass) const override;
  AddedLossCounts added_losses() const override;
  SavedId logits() const override { return head_.logits(); }
  // Of the main model's layers with experts, then of the prediction module.
  std::vector<Tensor> expert_begins(const Pass& pass) const override;

 private:
  using DenseLayer = nn::TransformerLayer<nn::LatentAttention, nn::Mlp>;
  using ExpertLayer = nn::TransformerLayer<nn::LatentAttention, nn::MixtureOfExperts>;
  using Prediction = nn::MultiTokenPrediction<ExpertLayer>;
  nn::LatentAttention make_attention(const std::string& name);
  nn::MixtureOfExperts make_experts(const std::string& name);
  DenseLayer make_dense_layer(const std::string& name);
  ExpertLayer make_expert_layer(const std::string& name);
  double output_std() const;

  size_t layers() const { return dense_.size() + sparse_.size(); }
  template <class F>
  void with_layer(size_t index, F&& f) const {
    index < dense_.size() ? f(dense_[index]) : f(sparse_[index - dense_.size()]);
  }
  // The stream before layer `index`: kept in training, one of two buffers in evaluation.
  Tensor residual(size_t index, int64_t tokens, std::vector<Tensor>& buffers, Pass& pass) const;

  ModelShape shape_;
  ModuleContext context_;
  nn::Rotary rotary_;
  nn::Embedding embedding_;
  std::vector<DenseLayer> dense_;
  std::vector<ExpertLayer> sparse_;
  nn::Norm norm_;
  nn::TokenLoss head_;
  std::vector<Prediction> prediction_;  // none or one
  std::vector<SavedId> residual_;
  SavedId state_, d_state_, d_predicted_;
};

}  // namespace timetrial::deepseekv3_671b
