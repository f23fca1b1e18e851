// Embedding over its op.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/nn/embedding.h"

#include "timetrial/ops/embedding.h"

namespace timetrial::nn {

Embedding::Embedding(ModuleContext& context, const std::string& name, int64_t vocabulary, int64_t hidden,
                     double init_std, int uses)
    : table_(context.parameters.add({.name = name + ".weight",
                                     .shape = {vocabulary, hidden},
                                     .uses = uses,
                                     .init = {.standard_deviation = init_std}})) {}

void Embedding::forward(const Tensor& out, const Tensor& ids, Pass& pass) const {
  ops::embedding_forward({.out = out, .table = pass.weight(table_), .ids = ids}, pass.stream);
}

void Embedding::backward_weights(const Tensor& d_out, const Tensor& ids, Pass& pass) const {
  ops::embedding_backward({.d_table = pass.parameters.grad(table_), .d_out = d_out, .ids = ids}, pass.stream);
  pass.parameters.grad_ready(table_);
}

}  // namespace timetrial::nn
