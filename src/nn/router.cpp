// The two routers over their ops.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/nn/router.h"

#include "timetrial/ops/elementwise.h"
#include "timetrial/ops/expert_bias.h"
#include "timetrial/ops/routing.h"
#include "timetrial/ops/sequence_balance.h"
#include "timetrial/ops/sigmoid_router.h"

namespace timetrial::nn {

SoftmaxRouter::SoftmaxRouter(ModuleContext& context, const std::string& name, const SoftmaxRouterOptions& o)
    : options_(o),
      dtype_(context.dtype),
      fine_(context.fine()),
      linear_(context, name,
              {.inputs = o.hidden,
               .outputs = o.experts,
               .bias = o.bias,
               .init_std = o.init_std,
               .bias_init_std = o.bias_init_std}),
      expert_(context.saved()),
      gate_(context.saved()),
      d_logits_(context.saved()) {}

void SoftmaxRouter::plan_forward(Plan& plan, int64_t tokens) const {
  plan.keep(expert_, DType::i32, {tokens, options_.choices});
  plan.keep(gate_, fine_, {tokens, options_.choices});
  Plan::Scope scope(plan);
  plan.temporary(dtype_, {tokens, options_.experts});
  linear_.plan_forward(plan, tokens);
}

Routing SoftmaxRouter::forward(const Tensor& in, Pass& pass) const {
  const int64_t tokens = in.dim(0);
  const Routing routing{.expert = pass.keep(expert_, DType::i32, {tokens, options_.choices}),
                        .gate = pass.keep(gate_, fine_, {tokens, options_.choices})};
  Arena::Scope scope(pass.scratch);
  const Tensor logits = pass.temporary(dtype_, {tokens, options_.experts});
  linear_.forward(logits, in, pass);
  ops::route_forward({.expert = routing.expert, .gate = routing.gate, .logits = logits}, pass.stream);
  return routing;
}

void SoftmaxRouter::plan_backward(Plan& plan, int64_t tokens) const {
  plan.defer(d_logits_, dtype_, {tokens, options_.experts});
}

void SoftmaxRouter::backward_input(const Tensor& d_in, const Tensor& d_gate, Pass& pass) const {
  const Tensor d_logits = pass.deferred.keep(d_logits_, dtype_, {d_gate.dim(0), options_.experts});
  ops::route_backward(
      {.d_logits = d_logits, .d_gate = d_gate, .gate = pass.stash.saved(gate_), .expert = pass.stash.saved(expert_)},
      pass.stream);
  linear_.backward_input(d_in, d_logits, pass);
}

void SoftmaxRouter::backward_weights(Pass& pass) const { linear_.backward_weights(pass); }

SigmoidRouter::SigmoidRouter(ModuleContext& context, const std::string& name, const SigmoidRouterOptions& o)
    : options_(o),
      dtype_(context.dtype),
      fine_(context.fine()),
      linear_(context, name, {.inputs = o.hidden, .outputs = o.experts, .init_std = o.init_std}),
      expert_bias_(context.parameters.add_expert_bias(name + ".expert_bias", o.experts, o.bias_rate)),
      expert_(context.saved()),
      gate_(context.saved()),
      score_(context.saved()),
      counts_(context.saved()),
      d_logits_(context.saved()) {}

int64_t SigmoidRouter::sequences(int64_t tokens) const {
  TIMETRIAL_CHECK(tokens % options_.sequence_length == 0, "{} tokens are no whole sequences of {}", tokens,
                  options_.sequence_length);
  return tokens / options_.sequence_length;
}

// Tokens of a sequence x the weight of a token: the weight of a sequence in the mean over all sequences.
double SigmoidRouter::sequence_scale(const Pass& pass) const {
  return static_cast<double>(options_.sequence_length) * pass.loss_scale;
}

void SigmoidRouter::plan_forward(Plan& plan, int64_t tokens) const {
  plan.keep(expert_, DType::i32, {tokens, options_.choices});
  plan.keep(gate_, fine_, {tokens, options_.choices});
  plan.keep(score_, fine_, {tokens, options_.experts});
  {
    Plan::Scope scope(plan);
    plan.temporary(dtype_, {tokens, options_.experts});
    linear_.plan_forward(plan, tokens);
  }
  if (!balances(plan.mode())) return;
  plan.keep(counts_, DType::i32, {sequences(tokens), options_.experts});
  Plan::Scope scope(plan);
  plan.temporary(fine_, {sequences(tokens)});
}

Routing SigmoidRouter::forward(const Tensor& in, Pass& pass) const {
  const int64_t tokens = in.dim(0);
  const Routing routing{.expert = pass.keep(expert_, DType::i32, {tokens, options_.choices}),
                        .gate = pass.keep(gate_, fine_, {tokens, options_.choices})};
  const Tensor score = pass.keep(score_, fine_, {tokens, options_.experts});
  {
    Arena::Scope scope(pass.scratch);
    const Tensor logits = pass.temporary(dtype_, {tokens, options_.experts});
    linear_.forward(logits, in, pass);
    ops::sigmoid_route_forward({.expert = routing.expert,
                                .gate = routing.gate,
                                .score = score,
                                .logits = logits,
                                .bias = pass.weight(expert_bias_),
                                .groups = options_.groups,
                                .kept_groups = options_.kept_groups,
                                .scaling = options_.scaling},
                               pass.stream);
  }
  if (pass.mode == Mode::train)
    ops::count_experts({.counts = pass.parameters.expert_counts(expert_bias_), .expert = routing.expert}, pass.stream);
  if (!balances(pass.mode)) return routing;
  const Tensor counts = pass.keep(counts_, DType::i32, {sequences(tokens), options_.experts});
  Arena::Scope scope(pass.scratch);
  const Tensor loss = pass.temporary(fine_, {sequences(tokens)});
  ops::sequence_balance_forward({.loss = loss, .counts = counts, .score = score, .choices = options_.choices},
                                pass.stream);
  if (pass.added.balance)
    ops::accumulate_sum({.out = pass.added.balance, .x = loss, .scale = sequence_scale(pass)}, pass.stream);
  return routing;
}

void SigmoidRouter::plan_backward(Plan& plan, int64_t tokens) const {
  plan.defer(d_logits_, dtype_, {tokens, options_.experts});
  if (!balances(Mode::train)) return;
  Plan::Scope scope(plan);
  plan.temporary(fine_, {tokens, options_.experts});
}

void SigmoidRouter::backward_input(const Tensor& d_in, const Tensor& d_gate, Pass& pass) const {
  const int64_t tokens = d_gate.dim(0);
  const Tensor d_logits = pass.deferred.keep(d_logits_, dtype_, {tokens, options_.experts});
  const Tensor score = pass.stash.saved(score_);
  {
    Arena::Scope scope(pass.scratch);
    Tensor d_score;
    if (balances(Mode::train)) {
      TIMETRIAL_CHECK(pass.loss_scale > 0, "the auxiliary loss needs the weight of the main loss, got {}",
                      pass.loss_scale);
      d_score = pass.temporary(fine_, {tokens, options_.experts});
      ops::sequence_balance_backward({.d_score = d_score,
                                      .score = score,
                                      .counts = pass.stash.saved(counts_),
                                      .choices = options_.choices,
                                      .scale = options_.balance_coefficient * sequence_scale(pass)},
                                     pass.stream);
    }
    ops::sigmoid_route_backward({.d_logits = d_logits,
                                 .d_gate = d_gate,
                                 .expert = pass.stash.saved(expert_),
                                 .score = score,
                                 .scaling = options_.scaling,
                                 .d_score = d_score},
                                pass.stream);
  }
  linear_.backward_input(d_in, d_logits, pass);
}

void SigmoidRouter::backward_weights(Pass& pass) const { linear_.backward_weights(pass); }

}  // namespace timetrial::nn
