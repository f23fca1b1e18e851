// Router, dispatch, two grouped products with a gated activation between them, combine; and the way back.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/nn/mixture_of_experts.h"

#include "timetrial/ops/elementwise.h"

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

MixtureOfExperts::Router MixtureOfExperts::make_router(ModuleContext& context, const std::string& name,
                                                       const MixtureOfExpertsOptions& o) {
  if (!o.sigmoid_router)
    return SoftmaxRouter(context, name,
                         {.hidden = o.hidden,
                          .experts = o.experts,
                          .choices = o.choices,
                          .bias = o.bias,
                          .init_std = o.init_std,
                          .bias_init_std = o.router_bias_std});
  SigmoidRouterOptions options = *o.sigmoid_router;
  options.hidden = o.hidden;
  options.experts = o.experts;
  options.choices = o.choices;
  return SigmoidRouter(context, name, options);
}

MixtureOfExperts::MixtureOfExperts(ModuleContext& context, const std::string& name, const MixtureOfExpertsOptions& o)
    : options_(o),
      device_(context.device),
      dtype_(context.dtype),
      fine_(context.fine()),
      router_(make_router(context, name + ".router", o)),
      dispatch_(context, o.experts, o.choices),
      experts_(declare(context, name, o)),
      hidden_(context.saved()),
      activated_(context.saved()),
      d_rows_out_(context.saved()),
      d_hidden_(context.saved()) {
  if (o.shared_ffn > 0)
    shared_.emplace(context, name + ".shared",
                    MlpOptions{.hidden = o.hidden,
                               .ffn = o.shared_ffn,
                               .activation = o.activation,
                               .init_std = o.init_std,
                               .output_init_std = o.output_init_std});
}

size_t MixtureOfExperts::workspace_bytes() const {
  return ops::grouped_matmul_workspace_bytes(options_.experts, dtype_, device_);
}

void MixtureOfExperts::plan_product(Plan& plan) const {
  Plan::Scope scope(plan);
  plan.temporary_bytes(workspace_bytes());
}

Tensor MixtureOfExperts::workspace(Pass& pass) const {
  return pass.temporary(DType::f32, {static_cast<int64_t>((workspace_bytes() + 3) / 4)});
}

void MixtureOfExperts::product(ops::GroupedMatmul a, Pass& pass) const {
  Arena::Scope scope(pass.scratch);
  a.workspace = workspace(pass);
  ops::grouped_matmul(a, pass.stream);
}

void MixtureOfExperts::weight_gradient(ops::GroupedMatmulBackwardWeight a, Pass& pass) const {
  Arena::Scope scope(pass.scratch);
  a.workspace = workspace(pass);
  ops::grouped_matmul_backward_weight(a, pass.stream);
}

void MixtureOfExperts::plan_forward(Plan& plan, int64_t tokens) const {
  const int64_t rows = tokens * options_.choices;
  std::visit([&](const auto& router) { router.plan_forward(plan, tokens); }, router_);
  dispatch_.plan_dispatch(plan, tokens, options_.hidden);
  plan.keep(hidden_, dtype_, {rows, 2 * options_.ffn}, Keep::product);
  if (plan.makes(Keep::product)) plan_product(plan);
  plan.keep(activated_, dtype_, {rows, options_.ffn}, Keep::cheap);
  const bool makes_out = plan.mode() != Mode::replay;
  if (makes_out) {
    Plan::Scope scope(plan);
    plan.temporary(dtype_, {rows, options_.hidden});
    plan_product(plan);
  }
  if (!shared_) return;
  Plan::Scope scope(plan);
  if (makes_out) plan.temporary(dtype_, {tokens, options_.hidden});
  shared_->plan_forward(plan, tokens);
}

void MixtureOfExperts::forward(const Kept& out, const Tensor& in, Pass& pass) const {
  const int64_t tokens = in.dim(0), rows = tokens * options_.choices;
  const Routing routing = std::visit([&](const auto& router) { return router.forward(in, pass); }, router_);
  const RoutedTokens routed = dispatch_.dispatch(in, routing, pass);
  const Kept hidden = pass.keep(hidden_, dtype_, {rows, 2 * options_.ffn}, Keep::product);
  if (!hidden.there)
    product({.c = hidden,
             .a = routed.rows,
             .b = pass.weight(experts_.fc1),
             .expert_begin = routed.expert_begin,
             .transpose_b = true,
             .bias = optional_weight(experts_.fc1_bias, pass)},
            pass);
  const Kept activated = pass.keep(activated_, dtype_, {rows, options_.ffn}, Keep::cheap);
  if (!activated.there)
    ops::gated_activation_forward(
        {.out = activated, .hidden = hidden, .gate_rows = routed.gate_rows, .kind = options_.activation}, pass.stream);
  if (!out.there) {
    Arena::Scope scope(pass.scratch);
    const Tensor rows_out = pass.temporary(dtype_, {rows, options_.hidden});
    product({.c = rows_out,
             .a = activated,
             .b = pass.weight(experts_.fc2),
             .expert_begin = routed.expert_begin,
             .transpose_b = true,
             .bias = optional_weight(experts_.fc2_bias, pass),
             .bias_scale = options_.bias ? routed.gate_rows : Tensor()},
            pass);
    dispatch_.combine(out, rows_out, routed, pass);
  }
  if (!shared_) return;
  Arena::Scope scope(pass.scratch);
  const Kept shared = out.there ? out : Kept(pass.temporary(dtype_, {tokens, options_.hidden}));
  shared_->forward(shared, in, pass);
  if (!out.there) ops::add({.out = out, .a = out, .b = shared}, pass.stream);
}

void MixtureOfExperts::plan_backward(Plan& plan, int64_t tokens) const {
  const int64_t rows = tokens * options_.choices;
  plan.defer(d_rows_out_, dtype_, {rows, options_.hidden});
  plan.defer(d_hidden_, dtype_, {rows, 2 * options_.ffn});
  plan_product(plan);  // backward_weights
  Plan::Scope scope(plan);
  plan.temporary(fine_, {rows});                      // d_gate_rows
  plan.temporary(fine_, {tokens, options_.choices});  // d_gate
  {
    Plan::Scope inner(plan);
    plan.temporary(dtype_, {rows, options_.ffn});  // d_activated
    plan_product(plan);
  }
  {
    Plan::Scope inner(plan);
    plan.temporary(dtype_, {rows, options_.hidden});  // d_rows
    plan_product(plan);
  }
  plan.temporary(dtype_, {tokens, options_.hidden});  // the router's share of d_in, then the shared expert's
  std::visit([&](const auto& router) { router.plan_backward(plan, tokens); }, router_);
  if (shared_) shared_->plan_backward(plan, tokens);
}

void MixtureOfExperts::backward_input(const Tensor& d_in, const Tensor& d_out, Pass& pass) const {
  const int64_t tokens = d_out.dim(0), rows = tokens * options_.choices;
  const RoutedTokens routed = dispatch_.routed(pass);
  const Tensor d_rows_out = pass.deferred.keep(d_rows_out_, dtype_, {rows, options_.hidden});
  const Tensor d_hidden = pass.deferred.keep(d_hidden_, dtype_, {rows, 2 * options_.ffn});
  dispatch_.combine_backward(d_rows_out, d_out, pass);

  Arena::Scope scope(pass.scratch);
  const Tensor d_gate_rows = pass.temporary(fine_, {rows});
  const Tensor d_gate = pass.temporary(fine_, {tokens, options_.choices});
  {
    Arena::Scope inner(pass.scratch);
    const Tensor d_activated = pass.temporary(dtype_, {rows, options_.ffn});
    product({.c = d_activated, .a = d_rows_out, .b = pass.weight(experts_.fc2), .expert_begin = routed.expert_begin},
            pass);
    ops::gated_activation_backward({.d_hidden = d_hidden,
                                    .d_gate_rows = d_gate_rows,
                                    .d_out = d_activated,
                                    .hidden = pass.saved(hidden_),
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
    const Tensor d_rows = pass.temporary(dtype_, {rows, options_.hidden});
    product({.c = d_rows, .a = d_hidden, .b = pass.weight(experts_.fc1), .expert_begin = routed.expert_begin}, pass);
    dispatch_.dispatch_backward(d_in, d_gate, d_rows, d_gate_rows, pass);
  }
  const Tensor share = pass.temporary(dtype_, {tokens, options_.hidden});
  std::visit([&](const auto& router) { router.backward_input(share, d_gate, pass); }, router_);
  ops::add({.out = d_in, .a = d_in, .b = share}, pass.stream);
  if (!shared_) return;
  shared_->backward_input(share, d_out, pass);
  ops::add({.out = d_in, .a = d_in, .b = share}, pass.stream);
}

void MixtureOfExperts::backward_weights(Pass& pass) const {
  const RoutedTokens routed = dispatch_.routed(pass);
  const Tensor d_rows_out = pass.deferred.saved(d_rows_out_), d_hidden = pass.deferred.saved(d_hidden_);
  ParameterStore& store = pass.parameters;
  std::visit([&](const auto& router) { router.backward_weights(pass); }, router_);
  if (shared_) shared_->backward_weights(pass);
  weight_gradient({.d_weight = store.grad(experts_.fc2),
                   .d_c = d_rows_out,
                   .a = pass.saved(activated_),
                   .expert_begin = routed.expert_begin},
                  pass);
  store.grad_ready(experts_.fc2);
  weight_gradient(
      {.d_weight = store.grad(experts_.fc1), .d_c = d_hidden, .a = routed.rows, .expert_begin = routed.expert_begin},
      pass);
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
