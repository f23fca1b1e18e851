// MixtureOfExperts: router, gated experts over permuted rows, and a shared expert that sees all (spec 3.1, 3.3, 18.2).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "timetrial/nn/mlp.h"
#include "timetrial/nn/router.h"
#include "timetrial/ops/grouped_matmul.h"

namespace timetrial::nn {

struct MixtureOfExpertsOptions {
  int64_t hidden, ffn, experts, choices;
  ops::GatedActivationKind activation;
  bool bias = false;  // softmax router, fc1, fc2; fc2's is multiplied by the gate
  double init_std = 0, output_init_std = 0, router_bias_std = 0;
  int64_t shared_ffn = 0;  // width of the shared expert, which has no gate; 0: none
  std::optional<SigmoidRouterOptions> sigmoid_router =
      {};  // in place of the softmax router; its first three are set here
};

class MixtureOfExperts {
 public:
  MixtureOfExperts(ModuleContext& context, const std::string& name, const MixtureOfExpertsOptions& options);

  void plan_forward(Plan& plan, int64_t tokens) const;
  void plan_backward(Plan& plan, int64_t tokens) const;
  void forward(const Kept& out, const Tensor& in, Pass& pass) const;  // (N, hidden) both
  void backward_input(const Tensor& d_in, const Tensor& d_out, Pass& pass) const;
  void backward_weights(Pass& pass) const;

  // Where the rows of each expert begin, (experts + 1) int32; between forward and backward in training.
  Tensor expert_begin(const Pass& pass) const { return dispatch_.expert_begin(pass); }

 private:
  // The experts' weights: fc1 (E, 2F, C) as [gate ; linear], fc2 (E, C, F).
  struct ExpertParameters {
    ParamId fc1, fc2;
    std::optional<ParamId> fc1_bias, fc2_bias;
  };
  using Router = std::variant<SoftmaxRouter, SigmoidRouter>;
  static Router make_router(ModuleContext& context, const std::string& name, const MixtureOfExpertsOptions& options);
  static ExpertParameters declare(ModuleContext& context, const std::string& name,
                                  const MixtureOfExpertsOptions& options);
  Tensor optional_weight(const std::optional<ParamId>& id, const Pass& pass) const {
    return id ? pass.weight(*id) : Tensor();
  }

  // Grouped products with their scratch, and what of it one of them plans.
  size_t workspace_bytes() const;
  Tensor workspace(Pass& pass) const;
  void plan_product(Plan& plan) const;
  void product(ops::GroupedMatmul a, Pass& pass) const;
  void weight_gradient(ops::GroupedMatmulBackwardWeight a, Pass& pass) const;

  MixtureOfExpertsOptions options_;
  Device device_;
  DType dtype_, fine_;
  Router router_;
  LocalExpertDispatch dispatch_;
  ExpertParameters experts_;
  std::optional<Mlp> shared_;
  SavedId hidden_, activated_, d_rows_out_, d_hidden_;
};

}  // namespace timetrial::nn
