// Gated activation on CUDA: tensors to kernel arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/gated_activation.h"

#include "ops/cuda/arguments.h"
#include "ops/cuda/gated_activation_kernels.h"

namespace timetrial::ops::cuda {

namespace {

bool is_clamped(GatedActivationKind kind) {
  switch (kind) {
    case GatedActivationKind::swiglu:
      return false;
    case GatedActivationKind::clamped_swiglu:
      return true;
  }
  throw Error("gated_activation: unknown kind");
}

}  // namespace

void gated_activation_forward(const GatedActivationForward& a, StreamRef stream) {
  check_storage("gated_activation_forward", {a.hidden.dtype()});
  launch(GatedActivationForwardLaunch{.out = a.out.raw(),
                                      .hidden = a.hidden.raw(),
                                      .gate_rows = floats_of(a.gate_rows),
                                      .rows = a.out.dim(0),
                                      .width = a.out.dim(1),
                                      .clamped = is_clamped(a.kind),
                                      .type = a.hidden.dtype()},
         stream);
}

void gated_activation_backward(const GatedActivationBackward& a, StreamRef stream) {
  check_storage("gated_activation_backward", {a.hidden.dtype()});
  launch(GatedActivationBackwardLaunch{.d_hidden = a.d_hidden.raw(),
                                       .d_gate_rows = floats_of(a.d_gate_rows),
                                       .d_out = a.d_out.raw(),
                                       .hidden = a.hidden.raw(),
                                       .gate_rows = floats_of(a.gate_rows),
                                       .rows = a.d_out.dim(0),
                                       .width = a.d_out.dim(1),
                                       .clamped = is_clamped(a.kind),
                                       .type = a.hidden.dtype()},
         stream);
}

}  // namespace timetrial::ops::cuda
