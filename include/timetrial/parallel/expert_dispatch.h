// Expert dispatch: tokens to the rows their experts read, and back (design of routed tokens; spec 3.1). `local`: all
// experts are on this rank, every size is fixed and stays on the device. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/parallel/pass.h"

namespace timetrial {

// The router's choice for every token.
struct Routing {
  Tensor expert, gate;  // (N, k) int32, (N, k)
};

// Rows grouped by expert. Rows at and past expert_begin's last entry are never read.
struct RoutedTokens {
  Tensor rows;            // (capacity, C)
  Tensor gate_rows;       // (capacity)
  Tensor expert_begin;    // (E + 1) int32 on the device
  Tensor source, row_of;  // (capacity) int32 token*k + choice; (N, k) int32, its inverse
};

// Gates act inside the expert; combine is a plain sum over a token's rows in the order of its choices: no atomics,
// bit-equal.
class LocalExpertDispatch {
 public:
  LocalExpertDispatch(ModuleContext& context, int64_t experts, int64_t choices);

  void plan_dispatch(Plan& plan, int64_t tokens, int64_t width) const;
  // Keeps the maps, and the routed rows unless they are to be gathered again, until backward_weights.
  RoutedTokens dispatch(const Tensor& x, const Routing& routing, Pass& pass) const;
  RoutedTokens routed(const Pass& pass) const;  // of the same micro batch, in backward
  Tensor expert_begin(const Pass& pass) const { return pass.saved(expert_begin_); }  // from forward on

  // d_x is overwritten with the sum over a token's rows; d_gate (N, k) with the rows' gate gradients.
  void dispatch_backward(const Tensor& d_x, const Tensor& d_gate, const Tensor& d_rows, const Tensor& d_gate_rows,
                         Pass& pass) const;
  void combine(const Tensor& y, const Tensor& rows, const RoutedTokens& routed, Pass& pass) const;
  void combine_backward(const Tensor& d_rows, const Tensor& d_y, Pass& pass) const;

 private:
  int64_t experts_, choices_;
  DType dtype_, fine_;
  SavedId rows_, gate_rows_, expert_begin_, source_, row_of_;
};

}  // namespace timetrial
