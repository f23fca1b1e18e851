// Norm: RMSNorm with a learned weight (spec 4.1).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "timetrial/parallel/pass.h"

namespace timetrial::nn {

class Norm {
 public:
  Norm(ModuleContext& context, const std::string& name, int64_t width, double epsilon);

  void plan_forward(Plan& plan, int64_t tokens) const;
  void plan_backward(Plan&, int64_t) const {}
  void forward(const Kept& out, const Tensor& in, Pass& pass) const;               // (N, C) both
  void backward_input(const Tensor& d_in, const Tensor& d_out, Pass& pass) const;  // d_in is overwritten
  void backward_weights(Pass& pass) const;

 private:
  DType fine_;
  double epsilon_;
  ParamId weight_;
  SavedId in_, rstd_, d_out_;
};

}  // namespace timetrial::nn
