// Embedding: token ids to rows of a learned table.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "timetrial/parallel/pass.h"

namespace timetrial::nn {

class Embedding {
 public:
  Embedding(ModuleContext& context, const std::string& name, int64_t vocabulary, int64_t hidden, double init_std,
            int uses = 1);  // calls of backward_weights in one backward

  void forward(const Tensor& out, const Tensor& ids, Pass& pass) const;  // (N, hidden), (N) int32
  // The first layer's input gradient goes straight into the table's gradient.
  void backward_weights(const Tensor& d_out, const Tensor& ids, Pass& pass) const;

 private:
  ParamId table_;
};

}  // namespace timetrial::nn
