// Router, dispatch, two grouped products with a gated activation between them, combine; and the way back.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/nn/mixture_of_experts.h"

#include "timetrial/ops/elementwise.h"
#include "timetrial/ops/grouped_matmul.h"
#include "timetrial/ops/routing.h"

namespace timetrial::nn {

MixtureOfExperts::ExpertParameters MixtureOfExperts::declare(ModuleContext& context, const std::string& name,
                                                             const MixtureOfExpertsOptions& o) {
  const auto matrix = [&](const char* suffix, Shape shape, double std) {
    return context.parameters.add(
        {.name = name + suffix, .shape = shape, .reduce = ReduceGroup::expert, .init = {.standard_deviation = std}});
  };
  const auto bias = [&](const char* suffix, Shape shape) {
    return context.parameters.add(
        {.name = name + suffix, .shape = shape, .reduce = ReduceGroup::expert, .decay = false});
  };
  ExpertParameters result;
  result.fc1 = matrix(".experts.fc1.weight", {o.experts, 2 * o.ffn, o.hidden}, o.init_std);
  if (o.bias) result.fc1_bias = bias(".experts.fc1.bias", {o.experts, 2 * o.ffn});
  result.fc2 = matrix(".experts.fc2.weight", {o.experts, o.hidden, o.ffn}, o.output_init_std);
  if (o.bias) result.fc2_bias = bias(".experts.fc2.bias", {o.experts, o.hidden});
  return result;
}

MixtureOfExperts::MixtureOfExperts(ModuleContext& context, const std::string& name, const MixtureOfExpertsOptions& o)
    : options_(o),
      dtype_(context.dtype),
      fine_(context.fine()),
      router_(context, name + ".router",
              {.inputs = o.hidden,
               .outputs = o.experts,
               .bias = o.bias,
               .init_std = o.init_std,
               .bias_init_std = o.router_bias_std}),
      dispatch_(context, o.experts, o.choices),
      experts_(declare(context, name, o)),
      expert_(context.saved()),
      gate_(context.saved()),
      hidden_(context.saved()),
      activated_(context.saved()),
      d_rows_out_(context.saved()),
      d_hidden_(context.saved()),
      d_logits_(context.saved()) {}

void MixtureOfExperts::plan_forward(Plan& plan, int64_t tokens) const {
  const int64_t rows = tokens * options_.choices;
  plan.keep(expert_, DType::i32, {tokens, options_.choices});
  plan.keep(gate_, fine_, {tokens, options_.choices});
  {
    Plan::Scope scope(plan);
    plan.temporary(dtype_, {tokens, options_.experts});
  }
  dispatch_.plan_dispatch(plan, tokens, options_.hidden);
  plan.keep(hidden_, dtype_, {rows, 2 * options_.ffn});
  plan.keep(activated_, dtype_, {rows, options_.ffn});
  Plan::Scope scope(plan);
  plan.temporary(dtype_, {rows, options_.hidden});
}

void MixtureOfExperts::forward(const Tensor& out, const Tensor& in, Pass& pass) const {
  const int64_t tokens = in.dim(0), rows = tokens * options_.choices;
  const Routing routing{.expert = pass.keep(expert_, DType::i32, {tokens, options_.choices}),
                        .gate = pass.keep(gate_, fine_, {tokens, options_.choices})};
  {
    Arena::Scope scope(pass.scratch);
    const Tensor logits = pass.temporary(dtype_, {tokens, options_.experts});
    router_.forward(logits, in, pass);
    ops::route_forward({.expert = routing.expert, .gate = routing.gate, .logits = logits}, pass.stream);
  }
  const RoutedTokens routed = dispatch_.dispatch(in, routing, pass);
  const Tensor hidden = pass.keep(hidden_, dtype_, {rows, 2 * options_.ffn});
  ops::grouped_matmul({.c = hidden,
                       .a = routed.rows,
                       .b = pass.weight(experts_.fc1),
                       .expert_begin = routed.expert_begin,
                       .transpose_b = true,
                       .bias = optional_weight(experts_.fc1_bias, pass)},
                      pass.stream);
  const Tensor activated = pass.keep(activated_, dtype_, {rows, options_.ffn});
  ops::gated_activation_forward(
      {.out = activated, .hidden = hidden, .gate_rows = routed.gate_rows, .kind = options_.activation}, pass.stream);
  Arena::Scope scope(pass.scratch);
  const Tensor rows_out = pass.temporary(dtype_, {rows, options_.hidden});
  ops::grouped_matmul({.c = rows_out,
                       .a = activated,
                       .b = pass.weight(experts_.fc2),
                       .expert_begin = routed.expert_begin,
                       .transpose_b = true,
                       .bias = optional_weight(experts_.fc2_bias, pass),
                       .bias_scale = options_.bias ? routed.gate_rows : Tensor()},
                      pass.stream);
  dispatch_.combine(out, rows_out, routed, pass);
}

void MixtureOfExperts::plan_backward(Plan& plan, int64_t tokens) const {
  const int64_t rows = tokens * options_.choices;
  plan.defer(d_rows_out_, dtype_, {rows, options_.hidden});
  plan.defer(d_hidden_, dtype_, {rows, 2 * options_.ffn});
  plan.defer(d_logits_, dtype_, {tokens, options_.experts});
  Plan::Scope scope(plan);
  plan.temporary(fine_, {rows});  // d_gate_rows
  {
    Plan::Scope inner(plan);
    plan.temporary(dtype_, {rows, options_.ffn});  // d_activated
  }
  {
    Plan::Scope inner(plan);
    plan.temporary(fine_, {tokens, options_.choices});  // d_gate
    plan.temporary(dtype_, {rows, options_.hidden});     // d_rows
  }
  plan.temporary(dtype_, {tokens, options_.hidden});  // the router's share of d_in
}

void MixtureOfExperts::backward_input(const Tensor& d_in, const Tensor& d_out, Pass& pass) const {
  const int64_t tokens = d_out.dim(0), rows = tokens * options_.choices;
  const RoutedTokens routed = dispatch_.routed(pass);
  const Tensor d_rows_out = pass.deferred.keep(d_rows_out_, dtype_, {rows, options_.hidden});
  const Tensor d_hidden = pass.deferred.keep(d_hidden_, dtype_, {rows, 2 * options_.ffn});
  const Tensor d_logits = pass.deferred.keep(d_logits_, dtype_, {tokens, options_.experts});
  dispatch_.combine_backward(d_rows_out, d_out, pass);

  Arena::Scope scope(pass.scratch);
  const Tensor d_gate_rows = pass.temporary(fine_, {rows});
  {
    Arena::Scope inner(pass.scratch);
    const Tensor d_activated = pass.temporary(dtype_, {rows, options_.ffn});
    ops::grouped_matmul(
        {.c = d_activated, .a = d_rows_out, .b = pass.weight(experts_.fc2), .expert_begin = routed.expert_begin},
        pass.stream);
    ops::gated_activation_backward({.d_hidden = d_hidden,
                                    .d_gate_rows = d_gate_rows,
                                    .d_out = d_activated,
                                    .hidden = pass.stash.saved(hidden_),
                                    .gate_rows = routed.gate_rows,
                                    .kind = options_.activation},
                                   pass.stream);
  }
  if (experts_.fc2_bias)
    ops::grouped_bias_scale_backward({.d_scale = d_gate_rows,
                                      .d_c = d_rows_out,
                                      .bias = pass.weight(*experts_.fc2_bias),
                                      .expert_begin = routed.expert_begin},
                                     pass.stream);
  {
    Arena::Scope inner(pass.scratch);
    const Tensor d_gate = pass.temporary(fine_, {tokens, options_.choices});
    const Tensor d_rows = pass.temporary(dtype_, {rows, options_.hidden});
    ops::grouped_matmul(
        {.c = d_rows, .a = d_hidden, .b = pass.weight(experts_.fc1), .expert_begin = routed.expert_begin}, pass.stream);
    dispatch_.dispatch_backward(d_in, d_gate, d_rows, d_gate_rows, pass);
    ops::route_backward(
        {.d_logits = d_logits, .d_gate = d_gate, .gate = pass.stash.saved(gate_), .expert = pass.stash.saved(expert_)},
        pass.stream);
  }
  const Tensor d_in_router = pass.temporary(dtype_, {tokens, options_.hidden});
  router_.backward_input(d_in_router, d_logits, pass);
  ops::add({.out = d_in, .a = d_in, .b = d_in_router}, pass.stream);
}

void MixtureOfExperts::backward_weights(Pass& pass) const {
  const RoutedTokens routed = dispatch_.routed(pass);
  const Tensor d_rows_out = pass.deferred.saved(d_rows_out_), d_hidden = pass.deferred.saved(d_hidden_);
  ParameterStore& store = pass.parameters;
  router_.backward_weights(pass);
  ops::grouped_matmul_backward_weight({.d_weight = store.grad(experts_.fc2),
                                       .d_c = d_rows_out,
                                       .a = pass.stash.saved(activated_),
                                       .expert_begin = routed.expert_begin},
                                      pass.stream);
  store.grad_ready(experts_.fc2);
  ops::grouped_matmul_backward_weight(
      {.d_weight = store.grad(experts_.fc1), .d_c = d_hidden, .a = routed.rows, .expert_begin = routed.expert_begin},
      pass.stream);
  store.grad_ready(experts_.fc1);
  if (!options_.bias) return;
  ops::grouped_bias_backward({.d_bias = store.grad(*experts_.fc2_bias),
                              .d_c = d_rows_out,
                              .expert_begin = routed.expert_begin,
                              .bias_scale = routed.gate_rows},
                             pass.stream);
  store.grad_ready(*experts_.fc2_bias);
  ops::grouped_bias_backward(
      {.d_bias = store.grad(*experts_.fc1_bias), .d_c = d_hidden, .expert_begin = routed.expert_begin}, pass.stream);
  store.grad_ready(*experts_.fc1_bias);
}

}  // namespace timetrial::nn
