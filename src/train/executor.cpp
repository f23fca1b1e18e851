// The step's actions on one rank.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/executor.h"

#include <algorithm>

#include "timetrial/ops/elementwise.h"

namespace timetrial {

namespace {

DType fine_type(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

OptimizerSettings settings_of(const TrainConfig& train) {
  return {.beta_1 = train.beta_1,
          .beta_2 = train.beta_2,
          .epsilon = train.epsilon,
          .weight_decay = train.weight_decay,
          .clip_norm = train.clip_norm};
}

std::vector<Stash> make_stashes(const Plan& plan, int slots, Device device) {
  std::vector<Stash> stashes;
  for (int slot = 0; slot < slots; ++slot) stashes.emplace_back(plan.kept(), device, plan.kept_bytes());
  return stashes;
}

Tensor workspace_view(const Buffer& buffer) {
  return {buffer.data(), DType::i32, {static_cast<int64_t>(buffer.bytes() / sizeof(int32_t))}, buffer.device()};
}

}  // namespace

Executor::Executor(const Model& model, const RunConfig& config, Device device, ProcessMesh* mesh)
    : one_rank_(mesh == nullptr ? std::make_unique<ProcessMesh>() : nullptr),
      mesh_(mesh == nullptr ? *one_rank_ : *mesh),
      model_(model),
      length_(config.model.sequence_length),
      micro_rows_(config.train.micro_batch),
      micros_(config.accumulation()),
      stream_(device),
      plan_(plan_execution(model, micro_rows_ * length_)),
      schedule_(make_accumulate_schedule(static_cast<int>(micros_))),
      store_(model.parameters(), config.device.dtype, device, optimizer_shard(config, mesh_.data_rank())),
      optimizer_(store_, settings_of(config.train), device),
      settings_(settings_of(config.train)),
      round_gradients_(config.train.gradient_storage == StateStorage::bf16),
      round_moments_(config.train.moment_storage == StateStorage::bf16),
      stashes_(make_stashes(plan_.train, slots_in_flight(schedule_), device)),
      deferred_(plan_.train.deferred(), device, plan_.train.deferred_bytes()),
      scratch_("scratch", device, plan_.scratch_bytes()),
      workspace_(device, plan_.workspace_bytes()),
      ids_(DType::i32, {micros_ * micro_rows_ * length_}, device),
      labels_(DType::i32, {micros_ * micro_rows_ * length_}, device),
      losses_(fine_type(config.device.dtype), {micro_rows_ * length_}, device),
      evaluation_sum_(fine_type(config.device.dtype), {1}, device),
      loss_sums_(fine_type(config.device.dtype), {3}, device),
      signal_(DType::i32, {1}, device),
      host_ids_(static_cast<size_t>(micros_ * micro_rows_ * length_)),
      host_labels_(host_ids_.size()),
      ranks_(store_, mesh_, stream_.ref(), round_gradients_) {
  TIMETRIAL_CHECK(config.parallel == mesh_.plan(), "a mesh of {} data ranks for a run of {}", mesh_.data_size(),
                  config.parallel.data);
  check_schedule(schedule_, static_cast<int>(micros_));
}

// Row r of a batch holds length + 1 tokens: the first `length` are inputs, the last `length` their labels.
void Executor::stage(const HostBatch& batch) {
  TIMETRIAL_CHECK(batch.row_length == length_ + 1 && batch.rows <= micros_ * micro_rows_,
                  "{} rows of {} tokens, expected {} of {}", batch.rows, batch.row_length, micros_ * micro_rows_,
                  length_ + 1);
  for (int64_t row = 0; row < batch.rows; ++row) {
    const int32_t* source = batch.tokens.data() + row * batch.row_length;
    std::copy(source, source + length_, host_ids_.begin() + row * length_);
    std::copy(source + 1, source + 1 + length_, host_labels_.begin() + row * length_);
  }
  const size_t bytes = static_cast<size_t>(batch.rows * length_) * sizeof(int32_t);
  copy_bytes(ids_.view().raw(), ids_.view().device(), host_ids_.data(), {}, bytes, stream_.ref());
  copy_bytes(labels_.view().raw(), labels_.view().device(), host_labels_.data(), {}, bytes, stream_.ref());
}

MicroBatch Executor::micro_batch(int64_t first_row, int64_t rows) const {
  return {.ids = ids_.view().rows(first_row * length_, (first_row + rows) * length_),
          .labels = labels_.view().rows(first_row * length_, (first_row + rows) * length_)};
}

Pass Executor::pass(Mode mode, int slot) {
  return {.stream = stream_.ref(),
          .mode = mode,
          .parameters = store_,
          .stash = stashes_.at(static_cast<size_t>(slot)),
          .deferred = deferred_,
          .scratch = scratch_,
          .workspace = workspace_view(workspace_)};
}

void Executor::initialize(uint64_t seed) {
  if (fill_) return fill_(store_, stream_.ref());
  store_.initialize(seed, stream_.ref());
}

void Executor::count_load(const Pass& pass) {
  const std::vector<Tensor> begins = model_.expert_begins(pass);
  load_.resize(begins.size());
  for (size_t layer = 0; layer < begins.size(); ++layer) {
    std::vector<int32_t> begin(static_cast<size_t>(begins[layer].elements()));
    copy_bytes(begin.data(), {}, begins[layer].raw(), begins[layer].device(), begins[layer].bytes(), stream_.ref());
    load_[layer].resize(begin.size() - 1);
    for (size_t expert = 0; expert + 1 < begin.size(); ++expert)
      load_[layer][expert] += begin[expert + 1] - begin[expert];
  }
}

void Executor::execute(const Action& action) {
  // The one place where the loss is divided: a mean over the tokens of the step on all data ranks.
  const double scale = 1.0 / static_cast<double>(micros_ * micro_rows_ * length_ * mesh_.data_size());
  Pass context = pass(Mode::train, action.slot);
  context.loss_scale = scale;
  context.added = {.multi_token = loss_sum(1), .balance = loss_sum(2)};
  switch (action.act) {
    case Act::forward:
      model_.forward(losses_, micro_batch(action.micro * micro_rows_, micro_rows_), context);
      ops::accumulate_sum({.out = loss_sum(0), .x = losses_, .scale = scale}, stream_.ref());
      if (measures_load_) count_load(context);
      return;
    case Act::backward:
      model_.backward(micro_batch(action.micro * micro_rows_, micro_rows_), scale, context);
      context.stash.release();
      // The last micro batch's buckets may be on their way already; they were rounded before.
      if (round_gradients_ && (mesh_.alone() || action.micro + 1 < micros_))
        store_.round_gradients_to_bfloat16(stream_.ref());
      return;
    case Act::update:
      store_.check_all_ready(static_cast<int>(micros_));
      ranks_.queue_sum(loss_sums_, "loss");
      ranks_.queue_sum(store_.all_expert_counts(), "tokens of each expert");
      ranks_.queue_maximum(signal_, "signal");
      ranks_.finish_gradients();
      store_.update_expert_biases(stream_.ref());
      optimizer_.update(stream_.ref(), [this](const Tensor& squares) { ranks_.sum_now(squares, "gradient norm"); });
      if (round_moments_) store_.round_moments_to_bfloat16(stream_.ref());
      ranks_.gather_weights();
      return;
  }
}

void Executor::train_step(const HostBatch& batch, double learning_rate, int64_t step) {
  TIMETRIAL_CHECK(batch.rows == micros_ * micro_rows_, "{} rows, a step takes {}", batch.rows, micros_ * micro_rows_);
  stage(batch);
  optimizer_.set_scalars(step_scalars(settings_, learning_rate, step), stream_.ref());
  store_.zero_gradients(stream_.ref());
  load_.clear();
  fill_zero(loss_sums_.view().raw(), loss_sums_.view().bytes(), stream_.ref());
  ranks_.begin_step(static_cast<int>(micros_));
  for (const Action& action : schedule_) execute(action);
}

void Executor::ask_to_stop(int signal) {
  if (!mesh_.alone()) from_host_i32(signal_, {signal}, stream_.ref());
}

// A rank counts its own tokens; the step's are everybody's.
std::vector<std::vector<int64_t>> Executor::load_of_all_ranks() {
  if (mesh_.alone() || load_.empty()) return load_;
  std::vector<double> mine;
  for (const std::vector<int64_t>& layer : load_) mine.insert(mine.end(), layer.begin(), layer.end());
  const std::vector<double> all = over_ranks(mine);
  std::vector<std::vector<int64_t>> sums;
  size_t at = 0;  // in one rank's values
  for (const std::vector<int64_t>& layer : load_) {
    std::vector<int64_t>& sum = sums.emplace_back(layer.size(), 0);
    for (int64_t& tokens : sum) {
      for (size_t other = at; other < all.size(); other += mine.size()) tokens += static_cast<int64_t>(all[other]);
      ++at;
    }
  }
  return sums;
}

StepResult Executor::result() {
  ranks_.wait();
  const std::vector<double> losses = to_host(loss_sums_, stream_.ref());
  const AddedLossCounts added = model_.added_losses();
  StepResult result{.loss = losses[0],
                    .gradient_norm = to_host(optimizer_.gradient_norm(), stream_.ref())[0],
                    .expert_load = load_of_all_ranks(),
                    .signal = mesh_.alone() ? 0 : to_host_i32(signal_, stream_.ref())[0]};
  if (added.multi_token > 0) result.multi_token_loss = losses[1] / static_cast<double>(added.multi_token);
  if (added.balance > 0) result.aux_loss = losses[2] / static_cast<double>(added.balance);
  return result;
}

double Executor::evaluate(const HostBatch& batch) {
  stage(batch);
  Pass context = pass(Mode::evaluate, 0);
  double sum = 0;
  for (int64_t row = 0; row < batch.rows; row += micro_rows_) {
    const int64_t rows = std::min(micro_rows_, batch.rows - row);
    const Tensor losses = losses_.view().rows(0, rows * length_);
    model_.forward(losses, micro_batch(row, rows), context);
    fill_zero(evaluation_sum_.view().raw(), evaluation_sum_.view().bytes(), stream_.ref());
    ops::accumulate_sum({.out = evaluation_sum_, .x = losses, .scale = 1}, stream_.ref());
    sum += to_host(evaluation_sum_, stream_.ref())[0];
  }
  return sum;
}

}  // namespace timetrial
