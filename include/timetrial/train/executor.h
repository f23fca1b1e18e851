// Executor: one rank's model with its memory. Runs the actions of a step and evaluations; knows nothing of targets or
// logs. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "timetrial/config/pipeline_schedule.h"
#include "timetrial/config/run_config.h"
#include "timetrial/data/batch_source.h"
#include "timetrial/parallel/optimizer.h"
#include "timetrial/train/memory_plan.h"
#include "timetrial/train/model.h"

namespace timetrial {

struct StepResult {
  double loss = 0;           // mean nats per token over the global batch
  double gradient_norm = 0;  // before clipping
};

// All tensors live in memory taken in the constructor (the CPU's matrix library takes scratch of its own inside its
// calls). One thread drives it.
class Executor {
 public:
  Executor(const Model& model, const RunConfig& config, Device device);

  // Parameters drawn from `seed`, moments zero.
  void initialize(uint64_t seed);
  // Queues one training step on this rank's rows.
  void train_step(const HostBatch& batch, double learning_rate, int64_t step);
  // Waits for the last queued step.
  StepResult result();
  // Sum of the losses over a batch's rows; weights and moments stay as they are. Waits.
  double evaluate(const HostBatch& batch);
  void zero_moments() { store_.zero_moments(stream_.ref()); }

  ParameterStore& parameters() { return store_; }
  size_t scratch_high_water() const { return scratch_.high_water(); }
  StreamRef stream() const { return stream_.ref(); }

 private:
  void stage(const HostBatch& batch);
  MicroBatch micro_batch(int64_t first_row, int64_t rows) const;
  void execute(const Action& action);
  Pass pass(Mode mode, int slot);

  const Model& model_;
  int64_t length_, micro_rows_, micros_;
  Stream stream_;
  ExecutionPlan plan_;
  std::vector<Action> schedule_;
  ParameterStore store_;
  Optimizer optimizer_;
  OptimizerSettings settings_;
  std::vector<Stash> stashes_;
  Stash deferred_;
  Arena scratch_;
  OwnedTensor ids_, labels_, losses_, loss_sum_, evaluation_sum_;
  std::vector<int32_t> host_ids_, host_labels_;
};

}  // namespace timetrial
