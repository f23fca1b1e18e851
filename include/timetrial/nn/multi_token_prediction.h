// MultiTokenPrediction: one more layer that predicts the token after next from the model's last state and the next
// token's embedding, with the embedding and the head of the main model (spec 5). SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "timetrial/nn/embedding.h"
#include "timetrial/nn/norm.h"
#include "timetrial/nn/token_loss.h"
#include "timetrial/ops/columns.h"
#include "timetrial/ops/elementwise.h"

namespace timetrial::nn {

struct MultiTokenPredictionOptions {
  int64_t hidden, sequence_length;  // at least 2: the last token of a sequence has no token after next
  double weight;                    // of the mean loss, beside the main loss
  double norm_epsilon, init_std;
};

// Trains only: an evaluation does not run it. The embedding's and the head's parameters count one use more.
template <class Layer>
class MultiTokenPrediction {
 public:
  // make_layer(name) declares the layer in the context and returns it. Adds "<name>." + embedding_norm.weight,
  // hidden_norm.weight, projection.weight (hidden, 2 hidden) over [embedding | state], "layer", norm.weight.
  template <class MakeLayer>
  MultiTokenPrediction(ModuleContext& context, const std::string& name, const MultiTokenPredictionOptions& options,
                       const Embedding& embedding, const TokenLoss& head, MakeLayer&& make_layer)
      : options_(options),
        dtype_(context.dtype),
        fine_(context.fine()),
        embedding_(embedding),
        embedding_norm_(context, name + ".embedding_norm", options.hidden, options.norm_epsilon),
        hidden_norm_(context, name + ".hidden_norm", options.hidden, options.norm_epsilon),
        projection_(context, name + ".projection",
                    {.inputs = 2 * options.hidden, .outputs = options.hidden, .init_std = options.init_std}),
        layer_(make_layer(name + ".layer")),
        norm_(context, name + ".norm", options.hidden, options.norm_epsilon),
        head_(context, head, options.sequence_length),
        ids_(context.saved()),
        labels_(context.saved()),
        embedded_(context.saved()),
        joined_(context.saved()),
        projected_(context.saved()),
        out_(context.saved()),
        normed_(context.saved()),
        d_normed_(context.saved()),
        d_out_(context.saved()),
        d_projected_(context.saved()),
        d_embedding_normed_(context.saved()),
        d_hidden_normed_(context.saved()),
        d_embedded_(context.saved()) {}

  const Layer& layer() const { return layer_; }

  void plan_forward(Plan& plan, int64_t tokens) const {
    const Shape rows{tokens, options_.hidden};
    plan.keep(ids_, DType::i32, {tokens});
    plan.keep(labels_, DType::i32, {tokens});
    plan.keep(embedded_, dtype_, rows);
    plan.keep(joined_, dtype_, {tokens, 2 * options_.hidden});
    {
      Plan::Scope scope(plan);
      plan.temporary(dtype_, rows);
      embedding_norm_.plan_forward(plan, tokens);
      plan.temporary(dtype_, rows);
      hidden_norm_.plan_forward(plan, tokens);
    }
    plan.keep(projected_, dtype_, rows);
    projection_.plan_forward(plan, tokens);
    plan.keep(out_, dtype_, rows);
    layer_.plan_forward(plan, tokens);
    plan.keep(normed_, dtype_, rows);
    norm_.plan_forward(plan, tokens);
    Plan::Scope scope(plan);
    plan.temporary(fine_, {tokens});
    head_.plan_forward(plan, tokens);
  }

  // state (N, hidden): the main model's, after its final norm. ids and labels (N) int32 of the main model.
  void forward(const Tensor& state, const Tensor& ids, const Tensor& labels, Pass& pass) const {
    const int64_t tokens = state.dim(0);
    const Shape rows = state.shape();
    const Tensor next_ids = pass.keep(ids_, DType::i32, {tokens});
    const Tensor next_labels = pass.keep(labels_, DType::i32, {tokens});
    roll_left(next_ids, ids, pass.stream);
    roll_left(next_labels, labels, pass.stream);
    const Tensor embedded = pass.keep(embedded_, dtype_, rows);
    embedding_.forward(embedded, next_ids, pass);
    const Tensor joined = pass.keep(joined_, dtype_, {tokens, 2 * options_.hidden});
    {
      Arena::Scope scope(pass.scratch);
      const Tensor left = pass.temporary(dtype_, rows);
      embedding_norm_.forward(left, embedded, pass);
      const Tensor right = pass.temporary(dtype_, rows);
      hidden_norm_.forward(right, state, pass);
      ops::join_columns({.out = joined, .left = left, .right = right}, pass.stream);
    }
    const Tensor projected = pass.keep(projected_, dtype_, rows);
    projection_.forward(projected, joined, pass);
    const Tensor out = pass.keep(out_, dtype_, rows);
    layer_.forward(out, projected, pass);
    const Tensor normed = pass.keep(normed_, dtype_, rows);
    norm_.forward(normed, out, pass);
    Arena::Scope scope(pass.scratch);
    const Tensor losses = pass.temporary(fine_, {tokens});
    head_.forward(losses, normed, next_labels, pass);
    if (pass.added.multi_token)
      ops::accumulate_sum({.out = pass.added.multi_token, .x = losses, .scale = token_scale(pass.loss_scale)},
                          pass.stream);
  }

  void plan_backward(Plan& plan, int64_t tokens) const {
    const Shape rows{tokens, options_.hidden};
    plan.defer(d_normed_, dtype_, rows);
    plan.defer(d_out_, dtype_, rows);
    plan.defer(d_projected_, dtype_, rows);
    layer_.plan_backward(plan, tokens);
    plan.defer(d_embedding_normed_, dtype_, rows);
    plan.defer(d_hidden_normed_, dtype_, rows);
    {
      Plan::Scope scope(plan);
      plan.temporary(dtype_, {tokens, 2 * options_.hidden});
    }
    plan.defer(d_embedded_, dtype_, rows);
  }

  // d_state is overwritten. `scale`: the weight of one token's main loss.
  void backward_input(const Tensor& d_state, double scale, Pass& pass) const {
    const Shape rows = d_state.shape();
    const int64_t tokens = rows[0];
    const Tensor d_normed = pass.deferred.keep(d_normed_, dtype_, rows);
    head_.backward_input(d_normed, pass.stash.saved(labels_), options_.weight * token_scale(scale), pass);
    const Tensor d_out = pass.deferred.keep(d_out_, dtype_, rows);
    norm_.backward_input(d_out, d_normed, pass);
    const Tensor d_projected = pass.deferred.keep(d_projected_, dtype_, rows);
    layer_.backward_input(d_projected, d_out, pass);
    const Tensor d_left = pass.deferred.keep(d_embedding_normed_, dtype_, rows);
    const Tensor d_right = pass.deferred.keep(d_hidden_normed_, dtype_, rows);
    {
      Arena::Scope scope(pass.scratch);
      const Tensor d_joined = pass.temporary(dtype_, {tokens, 2 * options_.hidden});
      projection_.backward_input(d_joined, d_projected, pass);
      ops::split_columns({.left = d_left, .right = d_right, .x = d_joined}, pass.stream);
    }
    const Tensor d_embedded = pass.deferred.keep(d_embedded_, dtype_, rows);
    embedding_norm_.backward_input(d_embedded, d_left, pass);
    hidden_norm_.backward_input(d_state, d_right, pass);
  }

  void backward_weights(Pass& pass) const {
    head_.backward_weights(pass);
    norm_.backward_weights(pass);
    layer_.backward_weights(pass);
    projection_.backward_weights(pass);
    hidden_norm_.backward_weights(pass);
    embedding_norm_.backward_weights(pass);
    embedding_.backward_weights(pass.deferred.saved(d_embedded_), pass.stash.saved(ids_), pass);
  }

 private:
  // The T - 1 tokens that have a target share what T tokens of the main loss weigh.
  double token_scale(double main) const {
    const auto length = static_cast<double>(options_.sequence_length);
    return main * length / (length - 1);
  }

  // Each sequence one to the left, 0 at its end.
  void roll_left(const Tensor& to, const Tensor& from, StreamRef stream) const {
    const int64_t length = options_.sequence_length;
    for (int64_t begin = 0; begin < from.dim(0); begin += length) {
      const Tensor source = from.rows(begin + 1, begin + length), target = to.rows(begin, begin + length - 1);
      copy_bytes(target.raw(), target.device(), source.raw(), source.device(), source.bytes(), stream);
      const Tensor last = to.rows(begin + length - 1, begin + length);
      fill_zero(last.raw(), last.bytes(), stream);
    }
  }

  MultiTokenPredictionOptions options_;
  DType dtype_, fine_;
  Embedding embedding_;
  Norm embedding_norm_, hidden_norm_;
  Linear projection_;
  Layer layer_;
  Norm norm_;
  TokenLoss head_;
  SavedId ids_, labels_, embedded_, joined_, projected_, out_, normed_;
  SavedId d_normed_, d_out_, d_projected_, d_embedding_normed_, d_hidden_normed_, d_embedded_;
};

}  // namespace timetrial::nn
