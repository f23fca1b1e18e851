// Executor: one rank's model with its memory. Runs the actions of a step and evaluations; knows nothing of targets or
// logs. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "timetrial/config/pipeline_schedule.h"
#include "timetrial/config/run_config.h"
#include "timetrial/data/batch_source.h"
#include "timetrial/device/upload.h"
#include "timetrial/parallel/data_parallel.h"
#include "timetrial/parallel/optimizer.h"
#include "timetrial/tensor/readback.h"
#include "timetrial/train/memory_plan.h"
#include "timetrial/train/model.h"

namespace timetrial {

struct StepResult {
  double loss = 0;           // mean nats per token over the global batch
  double gradient_norm = 0;  // before clipping
  // Means over the global batch of losses that enter through gradients alone; none where the model has none.
  std::optional<double> multi_token_loss = {};         // nats per token after next, without its weight
  std::optional<double> aux_loss = {};                 // per layer, without its coefficient; 1: all experts alike
  std::vector<std::vector<int64_t>> expert_load = {};  // of StepReport; empty unless measured
  int signal = 0;  // the number that any rank gave to ask_to_stop before the step, 0 if none did; 0 with one rank
};

// All tensors live in memory taken in the constructor (the CPU's matrix library takes scratch of its own inside its
// calls). Queueing a step neither takes memory nor waits for the device, as long as no more than two steps are under
// way; what changes from step to step is in device memory at fixed places. One thread drives it.
class Executor {
 public:
  // Without a mesh: one rank. Losses, norms and counts are those of all ranks.
  Executor(const Model& model, const RunConfig& config, Device device, ProcessMesh* mesh = nullptr);

  // Parameters drawn from `seed`, or filled by start_from's function; moments zero.
  void initialize(uint64_t seed);
  // Where initialize takes the weights from instead of a seed: a checkpoint.
  using FillWeights = std::function<void(ParameterStore&, StreamRef)>;
  void start_from(FillWeights fill) { fill_ = std::move(fill); }
  // Counts tokens per expert from now on; costs a wait per micro batch where work is queued.
  void measure_expert_load() { measures_load_ = true; }
  // Queues one training step on this rank's rows. The results of the last two steps can be had.
  using Ticket = Readback::Ticket;
  Ticket train_step(const HostBatch& batch, double learning_rate, int64_t step);
  // With the next step the other ranks learn that this one got a signal; not 0.
  void ask_to_stop(int signal);
  bool has_result(Ticket ticket) const { return readback_.ready(ticket); }
  StepResult result(Ticket ticket);                     // waits for that step; every rank asks for the same ones
  StepResult result() { return result(last_ticket_); }  // waits for the last one
  // Everybody's values in rank order; one rank's are its own. Every rank calls it with as many. Waits.
  std::vector<double> over_ranks(const std::vector<double>& mine, std::string_view purpose) {
    return ranks_.gather_values(mine, purpose);
  }
  ProcessMesh& mesh() { return mesh_; }
  // What communication has taken so far, where the host can tell: on the CPU, among several ranks.
  std::optional<CommLane::Times> communication();
  // Sum of the losses over this rank's rows of a batch; weights and moments stay as they are. Waits.
  double evaluate(const HostBatch& batch);
  // Tells `observer` of every op from now on; none when null.
  void observe(OpObserver* observer) { stream_.observe(observer); }
  void zero_moments() { store_.zero_moments(stream_.ref()); }

  ParameterStore& parameters() { return store_; }
  size_t scratch_high_water() const { return scratch_.high_water(); }
  StreamRef stream() const { return stream_.ref(); }
  void wait() {  // until everything queued is done
    ranks_.wait();
    stream_.synchronize();
  }

 private:
  void stage(const HostBatch& batch);
  MicroBatch micro_batch(int64_t first_row, int64_t rows) const;
  void execute(const Action& action);
  void count_load(const Pass& pass);
  std::vector<std::vector<int64_t>> load_of_all_ranks(const std::vector<std::vector<int64_t>>& load);
  Pass pass(Mode mode, int slot);
  Tensor loss_sum(int64_t which) const { return loss_sums_.view().rows(which, which + 1); }

  std::unique_ptr<ProcessMesh> one_rank_;  // where none was given
  ProcessMesh& mesh_;
  const Model& model_;
  int64_t length_, micro_rows_, micros_;
  Stream stream_;
  Recompute recompute_;
  ExecutionPlan plan_;
  std::vector<Action> schedule_;
  ParameterStore store_;
  Optimizer optimizer_;
  OptimizerSettings settings_;
  bool round_gradients_, round_moments_;  // to bf16
  std::vector<Stash> stashes_;
  Stash deferred_;
  Arena scratch_;
  Buffer workspace_;
  OwnedTensor tokens_;  // of a batch: all ids, then all labels
  Tensor ids_, labels_;
  Upload tokens_upload_;
  OwnedTensor losses_, evaluation_sum_;
  OwnedTensor loss_sums_;  // (3): main, multi-token, auxiliary
  OwnedTensor signal_;     // (1) int32, 0 until a rank asks to stop
  Readback readback_;      // of each step: the sums, gradient norm, with many ranks the signal
  Ticket last_ticket_ = -1;
  FillWeights fill_;
  bool measures_load_ = false;
  std::array<std::vector<std::vector<int64_t>>, 2> loads_;  // of the last two steps, by ticket
  std::vector<std::vector<int64_t>> load_;                  // of the step under way
  DataParallel ranks_;                                      // last: its lane works on the members above
};

}  // namespace timetrial
