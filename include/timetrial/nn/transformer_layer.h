// TransformerLayer: x += Mixer(norm(x)); x += FeedForward(norm(x)). Which mixer and which feed-forward is the
// workload's choice. The unit of recomputation. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "timetrial/nn/norm.h"
#include "timetrial/ops/elementwise.h"

namespace timetrial::nn {

struct TransformerLayerOptions {
  int64_t hidden;
  double norm_epsilon;
};

template <class Mixer, class FeedForward>
class TransformerLayer {
 public:
  // The two makers get (context, name) and return the block; they run in the order of the forward pass.
  template <class MakeMixer, class MakeFeedForward>
  TransformerLayer(ModuleContext& context, const std::string& name, const TransformerLayerOptions& options,
                   MakeMixer&& make_mixer, MakeFeedForward&& make_feed_forward)
      : hidden_(options.hidden),
        dtype_(context.dtype),
        mixer_norm_(context, name + ".attention_norm", options.hidden, options.norm_epsilon),
        mixer_(make_mixer(context, name + ".attention")),
        feed_forward_norm_(context, name + ".mlp_norm", options.hidden, options.norm_epsilon),
        feed_forward_(make_feed_forward(context, name + ".mlp")),
        in_(context.saved()),
        mixed_(context.saved()),
        middle_(context.saved()),
        normed_(context.saved()),
        d_normed_(context.saved()),
        d_middle_(context.saved()),
        d_mixer_in_(context.saved()) {}

  void plan_forward(Plan& plan, int64_t tokens) const {
    plan.keep(mixed_, dtype_, {tokens, hidden_}, Keep::cheap);
    mixer_norm_.plan_forward(plan, tokens);
    plan.keep(middle_, dtype_, {tokens, hidden_}, Keep::product);
    mixer_.plan_forward(plan, tokens);
    plan.keep(normed_, dtype_, {tokens, hidden_}, Keep::cheap);
    feed_forward_norm_.plan_forward(plan, tokens);
    feed_forward_.plan_forward(plan, tokens);
  }

  const FeedForward& feed_forward() const { return feed_forward_; }

  // (N, hidden) both; out must not be in. `in` must live until backward_weights.
  void forward(const Kept& out, const Tensor& in, Pass& pass) const {
    const Shape shape = in.shape();
    pass.refer(in_, in);
    const Kept mixer_in = pass.keep(mixed_, dtype_, shape, Keep::cheap);
    mixer_norm_.forward(mixer_in, in, pass);
    const Kept middle = pass.keep(middle_, dtype_, shape, Keep::product);
    mixer_.forward(middle, mixer_in, pass);
    if (!middle.there) ops::add({.out = middle, .a = middle, .b = in}, pass.stream);
    const Kept normed = pass.keep(normed_, dtype_, shape, Keep::cheap);
    feed_forward_norm_.forward(normed, middle, pass);
    feed_forward_.forward(out, normed, pass);
    if (!out.there) ops::add({.out = out, .a = out, .b = middle}, pass.stream);
  }

  void plan_backward(Plan& plan, int64_t tokens) const {
    if (plan.recompute() != Recompute::off) {
      const Plan::Replay replay(plan);
      const Plan::Scope scope(plan);
      plan_forward(plan, tokens);
    }
    plan.defer(d_normed_, dtype_, {tokens, hidden_});
    feed_forward_.plan_backward(plan, tokens);
    plan.defer(d_middle_, dtype_, {tokens, hidden_});
    plan.defer(d_mixer_in_, dtype_, {tokens, hidden_});
    mixer_.plan_backward(plan, tokens);
  }

  // d_in is overwritten and must not be d_out.
  void backward_input(const Tensor& d_in, const Tensor& d_out, Pass& pass) const {
    if (pass.recompute != Recompute::off) replay(pass);
    const Shape shape = d_out.shape();
    const Tensor d_normed = pass.deferred.keep(d_normed_, dtype_, shape);
    feed_forward_.backward_input(d_normed, d_out, pass);
    const Tensor d_middle = pass.deferred.keep(d_middle_, dtype_, shape);
    feed_forward_norm_.backward_input(d_middle, d_normed, pass);
    ops::add({.out = d_middle, .a = d_middle, .b = d_out}, pass.stream);
    const Tensor d_mixer_in = pass.deferred.keep(d_mixer_in_, dtype_, shape);
    mixer_.backward_input(d_mixer_in, d_middle, pass);
    mixer_norm_.backward_input(d_in, d_mixer_in, pass);
    ops::add({.out = d_in, .a = d_in, .b = d_middle}, pass.stream);
  }

  void backward_weights(Pass& pass) const {
    feed_forward_.backward_weights(pass);
    feed_forward_norm_.backward_weights(pass);
    mixer_.backward_weights(pass);
    mixer_norm_.backward_weights(pass);
  }

 private:
  // Makes what forward did not keep, in deferred memory. Nobody reads the layer's output again.
  void replay(const Pass& pass) const {
    Pass again = pass;
    again.mode = Mode::replay;
    const Arena::Scope scope(again.scratch);
    forward(Kept({}, true), pass.stash.saved(in_), again);
  }

  int64_t hidden_;
  DType dtype_;
  Norm mixer_norm_;
  Mixer mixer_;
  Norm feed_forward_norm_;
  FeedForward feed_forward_;
  SavedId in_, mixed_, middle_, normed_, d_normed_, d_middle_, d_mixer_in_;
};

}  // namespace timetrial::nn
