// Gated activation of experts: out = gate_row * act(g, u), hidden = [g | u] (spec 2.4, 3.1).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/tensor/tensor.h"

namespace timetrial::ops {

enum class GatedActivationKind {
  swiglu,          // SiLU(g) u
  clamped_swiglu,  // g' sigma(1.702 g') (u' + 1), g' = min(g, 7), u' = clamp(u, -7, 7); gradient 0 where clamped
};

struct GatedActivationForward {
  Tensor out;                // (R, F)
  Tensor hidden, gate_rows;  // (R, 2F), (R) optional (1 when absent)
  GatedActivationKind kind;
};
void gated_activation_forward(const GatedActivationForward& a, StreamRef stream);

struct GatedActivationBackward {
  Tensor d_hidden, d_gate_rows;     // (R, 2F), (R) optional; both overwritten
  Tensor d_out, hidden, gate_rows;  // (R, F), (R, 2F), (R) optional
  GatedActivationKind kind;
};
void gated_activation_backward(const GatedActivationBackward& a, StreamRef stream);

}  // namespace timetrial::ops
