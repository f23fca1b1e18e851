// Decoder: embedding, a row of equal layers on a residual stream, loss head. What a layer is, is the workload's choice.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "timetrial/device/trace.h"
#include "timetrial/nn/embedding.h"
#include "timetrial/nn/loss_head.h"

namespace timetrial::nn {

struct DecoderOptions {
  int64_t layers, hidden, vocabulary_rows;
  double norm_epsilon, init_std;
};

template <class Layer>
class Decoder {
 public:
  // make_layer(index) declares layer `index` in the context and returns it; layers are made in the order of forward.
  // Adds parameters "embedding.weight", the layers', "head.norm.weight" and "head.output.weight".
  template <class MakeLayer>
  Decoder(ModuleContext& context, const DecoderOptions& options, MakeLayer&& make_layer)
      : hidden_(options.hidden),
        dtype_(context.dtype),
        embedding_(context, "embedding", options.vocabulary_rows, options.hidden, options.init_std),
        layers_([&] {
          std::vector<Layer> layers;
          for (int64_t i = 0; i < options.layers; ++i) layers.push_back(make_layer(i));
          return layers;
        }()),
        head_(context, "head",
              {.hidden = options.hidden,
               .vocabulary = options.vocabulary_rows,
               .norm_epsilon = options.norm_epsilon,
               .init_std = options.init_std}) {
    for (int64_t i = 0; i <= options.layers; ++i) residual_.push_back(context.saved());
  }

  const LossHead& head() const { return head_; }
  const std::vector<Layer>& layers() const { return layers_; }

  void plan_forward(Plan& plan, int64_t tokens) const {
    const Shape stream{tokens, hidden_};
    if (plan.mode() == Mode::evaluate) {
      plan.temporary(dtype_, stream);
      plan.temporary(dtype_, stream);
    }
    for (size_t i = 0; i < layers_.size(); ++i) {
      if (plan.mode() == Mode::train) plan.keep(residual_[i], dtype_, stream);
      Plan::Scope scope(plan);
      layers_[i].plan_forward(plan, tokens);
    }
    if (plan.mode() == Mode::train) plan.keep(residual_.back(), dtype_, stream);
    Plan::Scope scope(plan);
    head_.plan_forward(plan, tokens);
  }

  // loss (N): nats of every token, undivided; ids and labels (N) int32.
  void forward(const Tensor& loss, const Tensor& ids, const Tensor& labels, Pass& pass) const {
    const int64_t tokens = ids.dim(0);
    Arena::Scope all(pass.scratch);
    std::vector<Tensor> buffers;
    Tensor x = residual(0, tokens, buffers, pass);
    embedding_.forward(x, ids, pass);
    for (size_t i = 0; i < layers_.size(); ++i) {
      const Tensor next = residual(i + 1, tokens, buffers, pass);
      Arena::Scope scope(pass.scratch);
      const TraceRange range("layer", static_cast<int64_t>(i));
      layers_[i].forward(next, x, pass);
      x = next;
    }
    Arena::Scope scope(pass.scratch);
    head_.forward(loss, x, labels, pass);
  }

  void plan_backward(Plan& plan, int64_t tokens) const {
    Plan::Scope all(plan);
    plan.temporary(dtype_, {tokens, hidden_});
    plan.temporary(dtype_, {tokens, hidden_});
    head_.plan_backward(plan, tokens);
    plan.weights_done();
    for (size_t i = layers_.size(); i-- > 0;) {
      layers_[i].plan_backward(plan, tokens);
      plan.weights_done();
    }
  }

  // Adds the gradient of scale * sum of the losses to every gradient; releases pass.deferred layer by layer.
  void backward(const Tensor& ids, const Tensor& labels, double scale, Pass& pass) const {
    const Shape stream{ids.dim(0), hidden_};
    Arena::Scope all(pass.scratch);
    Tensor d_out = pass.temporary(dtype_, stream), d_in = pass.temporary(dtype_, stream);
    head_.backward_input(d_out, labels, scale, pass);
    head_.backward_weights(pass);
    pass.deferred.release();
    for (size_t i = layers_.size(); i-- > 0;) {
      const TraceRange range("layer", static_cast<int64_t>(i));
      layers_[i].backward_input(d_in, d_out, pass);
      layers_[i].backward_weights(pass);
      pass.deferred.release();
      std::swap(d_in, d_out);
    }
    embedding_.backward_weights(d_out, ids, pass);
  }

 private:
  // The stream before layer `index`: kept in training, one of two buffers in evaluation.
  Tensor residual(size_t index, int64_t tokens, std::vector<Tensor>& buffers, Pass& pass) const {
    const Shape stream{tokens, hidden_};
    if (pass.mode == Mode::train) return pass.keep(residual_[index], dtype_, stream);
    if (buffers.size() < 2) buffers.push_back(pass.temporary(dtype_, stream));
    return buffers[index % 2];
  }

  int64_t hidden_;
  DType dtype_;
  Embedding embedding_;
  std::vector<Layer> layers_;
  LossHead head_;
  std::vector<SavedId> residual_;
};

}  // namespace timetrial::nn
