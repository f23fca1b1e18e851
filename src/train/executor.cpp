// The step's actions on one rank.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/executor.h"

#include <algorithm>

#include "timetrial/device/trace.h"
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
      recompute_(config.device.recompute),
      plan_(plan_execution(model, micro_rows_ * length_, recompute_)),
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
      tokens_(DType::i32, {2 * micros_ * micro_rows_ * length_}, device),
      tokens_upload_(device, tokens_.view().bytes()),
      losses_(fine_type(config.device.dtype), {micro_rows_ * length_}, device),
      evaluation_sum_(fine_type(config.device.dtype), {1}, device),
      loss_sums_(fine_type(config.device.dtype), {3}, device),
      signal_(DType::i32, {1}, device),
      readback_(device, 5),
      ranks_(store_, mesh_, stream_.ref(), round_gradients_) {
  TIMETRIAL_CHECK(config.parallel == mesh_.plan(), "a mesh of {} data ranks for a run of {}", mesh_.data_size(),
                  config.parallel.data);
  check_schedule(schedule_, static_cast<int>(micros_));
}

// Row r of a batch holds length + 1 tokens: the first `length` are inputs, the last `length` their labels.
std::optional<CommLane::Times> Executor::communication() {
  if (mesh_.alone() || stream().device.kind == DeviceKind::cuda) return std::nullopt;
  return ranks_.times();
}

void Executor::stage(const HostBatch& batch) {
  TIMETRIAL_CHECK(batch.row_length == length_ + 1 && batch.rows <= micros_ * micro_rows_,
                  "{} rows of {} tokens, expected {} of {}", batch.rows, batch.row_length, micros_ * micro_rows_,
                  length_ + 1);
  const int64_t tokens = batch.rows * length_;
  auto* const ids = reinterpret_cast<int32_t*>(tokens_upload_.fill());
  int32_t* const labels = ids + tokens;
  for (int64_t row = 0; row < batch.rows; ++row) {
    const int32_t* source = batch.tokens.data() + row * batch.row_length;
    std::copy(source, source + length_, ids + row * length_);
    std::copy(source + 1, source + 1 + length_, labels + row * length_);
  }
  ids_ = tokens_.view().rows(0, tokens);
  labels_ = tokens_.view().rows(tokens, 2 * tokens);
  tokens_upload_.send(ids_.raw(), ids_.bytes() + labels_.bytes(), stream_.ref());
}

MicroBatch Executor::micro_batch(int64_t first_row, int64_t rows) const {
  return {.ids = ids_.rows(first_row * length_, (first_row + rows) * length_),
          .labels = labels_.rows(first_row * length_, (first_row + rows) * length_)};
}

Pass Executor::pass(Mode mode, int slot) {
  return {.stream = stream_.ref(),
          .mode = mode,
          .parameters = store_,
          .stash = stashes_.at(static_cast<size_t>(slot)),
          .deferred = deferred_,
          .scratch = scratch_,
          .recompute = recompute_,
          .workspace = workspace_view(workspace_)};
}

void Executor::initialize(uint64_t seed) {
  if (fill_) return fill_(store_, stream_.ref());
  store_.initialize(seed, stream_.ref());
}

void Executor::count_load(const Pass& pass) {
  const std::vector<Tensor> begins = model_.expert_begins(pass);
  load_.resize(begins.size());
  ranks_.wait();
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
    case Act::forward: {
      const TraceRange range("forward", action.micro);
      model_.forward(losses_, micro_batch(action.micro * micro_rows_, micro_rows_), context);
      ops::accumulate_sum({.out = loss_sum(0), .x = losses_, .scale = scale}, stream_.ref());
      if (measures_load_) count_load(context);
      return;
    }
    case Act::backward: {
      const TraceRange range("backward", action.micro);
      model_.backward(micro_batch(action.micro * micro_rows_, micro_rows_), scale, context);
      context.stash.release();
      // The last micro batch's buckets may be on their way already; they were rounded before.
      if (round_gradients_ && (mesh_.alone() || action.micro + 1 < micros_))
        store_.round_gradients_to_bfloat16(stream_.ref());
      return;
    }
    case Act::update: {
      const TraceRange range("update");
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
}

Executor::Ticket Executor::train_step(const HostBatch& batch, double learning_rate, int64_t step) {
  TIMETRIAL_CHECK(batch.rows == micros_ * micro_rows_, "{} rows, a step takes {}", batch.rows, micros_ * micro_rows_);
  const TraceRange range("step", step);
  stage(batch);
  optimizer_.set_scalars(step_scalars(settings_, learning_rate, step), stream_.ref());
  store_.zero_gradients(stream_.ref());
  load_.clear();
  fill_zero(loss_sums_.view().raw(), loss_sums_.view().bytes(), stream_.ref());
  ranks_.begin_step(static_cast<int>(micros_));
  for (const Action& action : schedule_) execute(action);
  last_ticket_ = mesh_.alone() ? readback_.publish({loss_sums_, optimizer_.gradient_norm()}, stream_.ref())
                               : readback_.publish({loss_sums_, optimizer_.gradient_norm(), signal_}, stream_.ref());
  if (measures_load_) loads_[static_cast<size_t>(last_ticket_ % 2)] = load_;
  return last_ticket_;
}

void Executor::ask_to_stop(int signal) {
  if (mesh_.alone()) return;
  ranks_.wait();
  from_host_i32(signal_, {signal}, stream_.ref());
}

// A rank counts its own tokens; the step's are everybody's.
std::vector<std::vector<int64_t>> Executor::load_of_all_ranks(const std::vector<std::vector<int64_t>>& load) {
  if (mesh_.alone() || load.empty()) return load;
  std::vector<double> mine;
  for (const std::vector<int64_t>& layer : load) mine.insert(mine.end(), layer.begin(), layer.end());
  const std::vector<double> all = over_ranks(mine, "expert load");
  std::vector<std::vector<int64_t>> sums;
  size_t at = 0;  // in one rank's values
  for (const std::vector<int64_t>& layer : load) {
    std::vector<int64_t>& sum = sums.emplace_back(layer.size(), 0);
    for (int64_t& tokens : sum) {
      for (size_t other = at; other < all.size(); other += mine.size()) tokens += static_cast<int64_t>(all[other]);
      ++at;
    }
  }
  return sums;
}

StepResult Executor::result(Ticket ticket) {
  // For this step alone: the next one is queued behind it, and goes on.
  ranks_.wait_until([&] { return readback_.ready(ticket); });
  const std::vector<double> values = readback_.take(ticket);
  const AddedLossCounts added = model_.added_losses();
  StepResult result{.loss = values[0],
                    .gradient_norm = values[3],
                    .expert_load = load_of_all_ranks(loads_[static_cast<size_t>(ticket % 2)]),
                    .signal = mesh_.alone() ? 0 : static_cast<int>(values[4])};
  if (added.multi_token > 0) result.multi_token_loss = values[1] / static_cast<double>(added.multi_token);
  if (added.balance > 0) result.aux_loss = values[2] / static_cast<double>(added.balance);
  return result;
}

double Executor::evaluate(const HostBatch& batch) {
  const TraceRange range("evaluate");
  stage(batch);
  Pass context = pass(Mode::evaluate, 0);
  double sum = 0;
  for (int64_t row = 0; row < batch.rows; row += micro_rows_) {
    const int64_t rows = std::min(micro_rows_, batch.rows - row);
    const Tensor losses = losses_.view().rows(0, rows * length_);
    model_.forward(losses, micro_batch(row, rows), context);
    fill_zero(evaluation_sum_.view().raw(), evaluation_sum_.view().bytes(), stream_.ref());
    ops::accumulate_sum({.out = evaluation_sum_, .x = losses, .scale = 1}, stream_.ref());
    ranks_.wait();
    sum += to_host(evaluation_sum_, stream_.ref())[0];
  }
  return sum;
}

}  // namespace timetrial
