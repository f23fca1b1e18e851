// Model and Workload: what the trainer knows of the thing it trains.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "timetrial/config/run_config.h"
#include "timetrial/parallel/pass.h"

namespace timetrial {

namespace checkpoint {
struct Format;
}

struct MicroBatch {
  Tensor ids, labels;  // (N) int32 each; whole sequences one after another
};

// Losses that a model's training adds to the main one through gradients alone.
struct AddedLossCounts {
  int64_t multi_token = 0;  // modules that predict the token after next
  int64_t balance = 0;      // layers whose router has an auxiliary loss
};

// One rank's piece of a model. It declares parameters and memory, and holds neither: everything mutable comes in the
// Pass.
class Model {
 public:
  virtual ~Model() = default;
  virtual const ParameterList& parameters() const = 0;
  // Parameters and arithmetic of the whole model, for the plan.
  virtual ModelCounts counts(const ModelShape& shape) const { return count(shape); }

  // Which library computes what, and why, one line each; known once the model was planned. Empty on the CPU.
  virtual std::vector<std::string> choices() const { return {}; }

  // Mirror forward and backward one to one; `tokens` are those of a micro batch.
  virtual void plan_forward(Plan& plan, int64_t tokens) const = 0;
  virtual void plan_backward(Plan& plan, int64_t tokens) const = 0;

  // Fills loss (N), fp32 or f64: nats of every token.
  virtual void forward(const Tensor& loss, const MicroBatch& batch, Pass& pass) const = 0;
  // Adds the gradient of loss_scale * sum of the losses to every parameter's gradient. Releases pass.deferred as it
  // goes; the caller releases pass.stash.
  virtual void backward(const MicroBatch& batch, double loss_scale, Pass& pass) const = 0;

  virtual AddedLossCounts added_losses() const { return {}; }

  // Where forward leaves its logits (N, vocabulary rows) in training, for comparisons with other code; index -1 when
  // they are never all there.
  virtual SavedId logits() const { return {}; }

  // Of every layer with experts, in order: where the rows of each expert begin, (experts + 1) int32, as forward left it
  // in training; valid until backward.
  virtual std::vector<Tensor> expert_begins(const Pass& /*pass*/) const { return {}; }
};

// One benchmark of the suite.
class Workload {
 public:
  virtual ~Workload() = default;
  virtual std::string_view name() const = 0;
  virtual const Json& benchmark() const = 0;  // the content of its benchmark.json
  // Throws ConfigError for a shape or form this build cannot train.
  virtual std::unique_ptr<Model> make_model(const RunConfig& config, Device device) const = 0;
  // How checkpoints of this shape name and lay out their tensors. Throws UserError when the workload has none.
  virtual checkpoint::Format checkpoint_format(const RunConfig& config) const;
};

}  // namespace timetrial
