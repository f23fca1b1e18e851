// Stash and Pass: where a module finds its memory while it runs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "timetrial/ops/libraries.h"
#include "timetrial/parallel/parameters.h"
#include "timetrial/parallel/plan.h"

namespace timetrial {

// Tensors kept for one micro batch in flight. Addresses are fixed for the whole run. A debug build fills what is
// released with NaN bytes.
class Stash {
 public:
  // `layout` is Plan::kept() or Plan::deferred().
  Stash(std::vector<PlannedTensor> layout, Device device, size_t bytes);

  // The planned memory of `id`. Throws Error when it was not planned, was planned otherwise, or is kept already.
  Tensor keep(SavedId id, DType dtype, Shape shape);
  // Remembers a tensor that another module keeps for at least as long.
  void refer(SavedId id, const Tensor& tensor);
  // What keep or refer stored for this micro batch; throws Error when nothing did.
  Tensor saved(SavedId id) const;
  // backward_weights has run: everything may be reused.
  void release();

 private:
  std::vector<PlannedTensor> layout_;
  std::vector<Tensor> tensors_;
  Buffer buffer_;
};

// Where training adds up the losses that modules add to the main one, as means over the step: (1) each, in fp32 or f64.
// Empty where nobody asks for them.
struct AddedLosses {
  Tensor multi_token;  // nats per token after next
  Tensor balance;      // auxiliary losses of the routers, summed over layers, without their coefficient
};

// What one execution of a module gets. References outlive the call.
struct Pass {
  StreamRef stream;
  Mode mode;
  ParameterStore& parameters;
  Stash& stash;     // forward -> backward_weights
  Stash& deferred;  // backward_input -> backward_weights
  Arena& scratch;
  // In training: the weight of one token's loss in the step's, for losses that modules add.
  double loss_scale = 0;
  AddedLosses added = {};
  Tensor workspace = {};  // of Plan::workspace_bytes; empty where nothing was planned

  Tensor keep(SavedId id, DType dtype, Shape shape) {
    return mode == Mode::evaluate ? allocate(scratch, dtype, shape) : stash.keep(id, dtype, shape);
  }
  void refer(SavedId id, const Tensor& tensor) {
    if (mode != Mode::evaluate) stash.refer(id, tensor);
  }
  Tensor temporary(DType dtype, Shape shape) { return allocate(scratch, dtype, shape); }
  Tensor weight(ParamId id) const { return parameters.weight(id); }
};

// Hands out parameter and tensor names while a model piece is put together.
struct ModuleContext {
  ParameterList parameters;
  DType dtype = DType::f32;  // storage of weights and activations
  Device device;
  int32_t next_saved = 0;
  // Blocks that call a library keep it as long as themselves.
  std::shared_ptr<ops::Libraries> libraries = std::make_shared<ops::Libraries>();

  SavedId saved() { return {next_saved++}; }
  // fp32 beside narrower activations: statistics, gates, losses.
  DType fine() const { return dtype == DType::f64 ? DType::f64 : DType::f32; }
};

}  // namespace timetrial
