// Local dispatch: permutation on one rank.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/parallel/expert_dispatch.h"

#include "timetrial/ops/routing.h"

namespace timetrial {

LocalExpertDispatch::LocalExpertDispatch(ModuleContext& context, int64_t experts, int64_t choices)
    : experts_(experts),
      choices_(choices),
      dtype_(context.dtype),
      fine_(context.fine()),
      rows_(context.saved()),
      gate_rows_(context.saved()),
      expert_begin_(context.saved()),
      source_(context.saved()),
      row_of_(context.saved()) {}

void LocalExpertDispatch::plan_dispatch(Plan& plan, int64_t tokens, int64_t width) const {
  const int64_t capacity = tokens * choices_;
  plan.keep(rows_, dtype_, {capacity, width}, Keep::cheap);
  plan.keep(gate_rows_, fine_, {capacity});
  plan.keep(expert_begin_, DType::i32, {experts_ + 1});
  plan.keep(source_, DType::i32, {capacity});
  plan.keep(row_of_, DType::i32, {tokens, choices_});
}

RoutedTokens LocalExpertDispatch::dispatch(const Tensor& x, const Routing& routing, Pass& pass) const {
  const int64_t tokens = x.dim(0), capacity = tokens * choices_;
  const Kept rows = pass.keep(rows_, dtype_, {capacity, x.dim(1)}, Keep::cheap);
  const Kept gate_rows = pass.keep(gate_rows_, fine_, {capacity});
  const Kept begin = pass.keep(expert_begin_, DType::i32, {experts_ + 1});
  const RoutedTokens routed{.rows = rows,
                            .gate_rows = gate_rows,
                            .expert_begin = begin,
                            .source = pass.keep(source_, DType::i32, {capacity}),
                            .row_of = pass.keep(row_of_, DType::i32, {tokens, choices_})};
  if (!begin.there)
    ops::group_by_expert({.expert_begin = routed.expert_begin,
                          .source = routed.source,
                          .row_of = routed.row_of,
                          .expert = routing.expert},
                         pass.stream);
  if (!rows.there)
    ops::gather_rows({.rows = rows,
                      .gate_rows = gate_rows.there ? Tensor() : gate_rows.tensor,
                      .x = x,
                      .gate = gate_rows.there ? Tensor() : routing.gate,
                      .source = routed.source,
                      .choices = choices_},
                     pass.stream);
  return routed;
}

RoutedTokens LocalExpertDispatch::routed(const Pass& pass) const {
  return {.rows = pass.saved(rows_),
          .gate_rows = pass.saved(gate_rows_),
          .expert_begin = pass.saved(expert_begin_),
          .source = pass.saved(source_),
          .row_of = pass.saved(row_of_)};
}

void LocalExpertDispatch::dispatch_backward(const Tensor& d_x, const Tensor& d_gate, const Tensor& d_rows,
                                            const Tensor& d_gate_rows, Pass& pass) const {
  const Tensor row_of = pass.saved(row_of_);
  ops::combine_rows({.y = d_x, .rows = d_rows, .row_of = row_of}, pass.stream);
  ops::ungroup_scalars({.out = d_gate, .values = d_gate_rows, .row_of = row_of}, pass.stream);
}

void LocalExpertDispatch::combine(const Tensor& y, const Tensor& rows, const RoutedTokens& routed, Pass& pass) const {
  ops::combine_rows({.y = y, .rows = rows, .row_of = routed.row_of}, pass.stream);
}

void LocalExpertDispatch::combine_backward(const Tensor& d_rows, const Tensor& d_y, Pass& pass) const {
  ops::gather_rows(
      {.rows = d_rows, .gate_rows = {}, .x = d_y, .gate = {}, .source = pass.saved(source_), .choices = choices_},
      pass.stream);
}

}  // namespace timetrial
