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
  bool has(SavedId id) const;
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

// A tensor that forward fills, or, in a replay, finds filled.
struct Kept {
  Kept(const Tensor& filled_now, bool filled_before = false) : tensor(filled_now), there(filled_before) {}
  Tensor tensor;
  bool there;  // leave it as it is; an empty tensor that is "there" is one that nobody will read
  operator const Tensor&() const { return tensor; }
};

// What one execution of a module gets. References outlive the call.
struct Pass {
  StreamRef stream;
  Mode mode;
  ParameterStore& parameters;
  Stash& stash;     // forward -> backward_weights
  Stash& deferred;  // backward_input -> backward_weights; also what a replay makes
  Arena& scratch;
  Recompute recompute = Recompute::off;
  // In training: the weight of one token's loss in the step's, for losses that modules add.
  double loss_scale = 0;
  AddedLosses added = {};
  Tensor workspace = {};  // of Plan::workspace_bytes; empty where nothing was planned

  // Where forward puts a tensor that backward reads. Every block makes it unless it is there, and refers to its inputs
  // either way: forward left references to scratch where it kept nothing.
  Kept keep(SavedId id, DType dtype, Shape shape, Keep keep = Keep::always);
  void refer(SavedId id, const Tensor& tensor);
  // In backward: what the replay made or referred to, else what forward did.
  Tensor saved(SavedId id) const { return deferred.has(id) ? deferred.saved(id) : stash.saved(id); }
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
