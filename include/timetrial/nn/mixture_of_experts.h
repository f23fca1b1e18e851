// MixtureOfExperts: router, top-k softmax gates, gated experts over permuted rows (spec 3.1, 3.2, 18.2).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "timetrial/nn/linear.h"
#include "timetrial/ops/gated_activation.h"
#include "timetrial/parallel/expert_dispatch.h"

namespace timetrial::nn {

struct MixtureOfExpertsOptions {
  int64_t hidden, ffn, experts, choices;
  ops::GatedActivationKind activation;
  bool bias = false;  // router, fc1, fc2; fc2's is multiplied by the gate
  double init_std = 0, output_init_std = 0, router_bias_std = 0;
};

class MixtureOfExperts {
 public:
  MixtureOfExperts(ModuleContext& context, const std::string& name, const MixtureOfExpertsOptions& options);

  void plan_forward(Plan& plan, int64_t tokens) const;
  void plan_backward(Plan& plan, int64_t tokens) const;
  void forward(const Tensor& out, const Tensor& in, Pass& pass) const;  // (N, hidden) both
  void backward_input(const Tensor& d_in, const Tensor& d_out, Pass& pass) const;
  void backward_weights(Pass& pass) const;

 private:
  // The experts' weights: fc1 (E, 2F, C) as [gate ; linear], fc2 (E, C, F).
  struct ExpertParameters {
    ParamId fc1, fc2;
    std::optional<ParamId> fc1_bias, fc2_bias;
  };
  static ExpertParameters declare(ModuleContext& context, const std::string& name,
                                  const MixtureOfExpertsOptions& options);
  Tensor optional_weight(const std::optional<ParamId>& id, const Pass& pass) const {
    return id ? pass.weight(*id) : Tensor();
  }

  MixtureOfExpertsOptions options_;
  DType dtype_, fine_;
  Linear router_;
  LocalExpertDispatch dispatch_;
  ExpertParameters experts_;
  SavedId expert_, gate_, hidden_, activated_, d_rows_out_, d_hidden_, d_logits_;
};

}  // namespace timetrial::nn
