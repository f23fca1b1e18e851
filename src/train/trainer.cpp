// The training loop.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "timetrial/base/clock.h"
#include "timetrial/config/schedule.h"
#include "timetrial/device/trace.h"

namespace timetrial {

namespace {

constexpr int kWarmUpSteps = 3;
constexpr int64_t kStepsBeforeTrace = 5;  // with real data, so that caches and clocks have settled

// Rows of made-up tokens: the clock has not started, so no real datum may be read.
HostBatch synthetic_batch(const RunConfig& config, int64_t rows) {
  const int64_t length = config.model.sequence_length + 1;
  HostBatch batch{
      .tokens = std::vector<int32_t>(static_cast<size_t>(rows * length)), .rows = rows, .row_length = length};
  for (size_t i = 0; i < batch.tokens.size(); ++i)
    batch.tokens[i] = static_cast<int32_t>((i * 7919 + 17) % static_cast<size_t>(config.model.vocabulary));
  return batch;
}

// Adds the seconds of its life to a sum.
class Stopwatch {
 public:
  explicit Stopwatch(double& sum) : sum_(sum) {}
  ~Stopwatch() { sum_ += monotonic_seconds() - started_; }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& sum_;
  double started_ = monotonic_seconds();
};

}  // namespace

std::optional<double> evaluate_all(Executor& executor, DataProvider& data, int64_t sequence_length,
                                   const std::atomic<int>& interrupt) {
  const auto batches = data.evaluation();
  const int64_t total = data.evaluation_samples();
  double loss = 0, sum = 0;  // of this rank's last batch; of all ranks' batches so far, added in rank order
  int64_t rows = 0, done = 0;
  for (;;) {
    const std::vector<double> all = executor.over_ranks(
        {loss, static_cast<double>(rows), static_cast<double>(interrupt.load())}, "evaluation loss");
    bool interrupted = false;
    for (size_t rank = 0; rank < all.size(); rank += 3) {
      sum += all[rank];
      done += static_cast<int64_t>(all[rank + 1]);
      interrupted = interrupted || all[rank + 2] != 0;
    }
    if (interrupted) return std::nullopt;
    if (done >= total) break;
    const HostBatch& batch = batches->next();
    loss = executor.evaluate(batch);
    rows = batch.rows;
  }
  TIMETRIAL_CHECK(done == total, "{} rows evaluated, {} asked for", done, total);
  return sum / static_cast<double>(total * sequence_length);
}

int agreed_signal(Executor& executor, const std::atomic<int>& interrupt) {
  const std::vector<double> all = executor.over_ranks({static_cast<double>(interrupt.load())}, "signals");
  return static_cast<int>(*std::max_element(all.begin(), all.end()));
}

Trainer::Trainer(const RunConfig& config, Executor& executor, DataProvider& data, RunLog& log, Reporter& reporter,
                 const std::atomic<int>& interrupt)
    : config_(config),
      executor_(executor),
      data_(data),
      log_(log),
      reporter_(reporter),
      interrupt_(interrupt),
      last_evaluation_(std::numeric_limits<double>::quiet_NaN()),
      deadline_(config.cluster) {
  TIMETRIAL_CHECK(data.evaluation_samples() == config.evaluation.samples,
                  "data has {} evaluation samples, the run asks {}", data.evaluation_samples(),
                  config.evaluation.samples);
}

RunResult Trainer::run() {
  executor_.mesh().set_deadline(deadline_.seconds());
  reporter_.stage("warm-up on synthetic data");
  executor_.initialize(static_cast<uint64_t>(config_.train.seed));
  if (!warm_up()) {
    log_.run_stop("aborted", 0);
    return {.outcome = Outcome::interrupted, .evaluation_loss = last_evaluation_, .signal = signal_};
  }
  log_.init_stop();

  communicated_ = executor_.communication().value_or(CommLane::Times{});
  reporter_.stage("training");
  log_.run_start();
  log_.flush();
  run_started_ = monotonic_seconds();
  const auto batches = data_.training();
  const Outcome outcome = train(*batches);
  if (tracing_) stop_recording(executor_.stream().device);
  log_.run_stop(outcome == Outcome::target_reached ? "success" : "aborted", samples());
  return {.outcome = outcome,
          .steps = steps_,
          .samples = samples(),
          .seconds = monotonic_seconds() - run_started_,
          .evaluation_loss = last_evaluation_,
          .last_step = last_step_,
          .split = split_,
          .signal = interrupt_ != 0 ? interrupt_.load() : signal_};
}

// Before training the ranks can wait for each other: the largest number, so that one rank's signal stops all.
int Trainer::agreed_signal() {
  signal_ = std::max(signal_, timetrial::agreed_signal(executor_, interrupt_));
  return signal_;
}

// Data-parallel ranks that start apart stay apart, and no loss would show it.
void Trainer::check_equal_weights(const std::string& hash) {
  const auto part = [&](size_t begin) { return static_cast<double>(std::stoull(hash.substr(begin, 12), nullptr, 16)); };
  const std::vector<double> all = executor_.over_ranks({part(0), part(12)}, "hash of the weights");
  for (size_t rank = 0; rank * 2 < all.size(); ++rank)
    TIMETRIAL_CHECK(all[rank * 2] == all[0] && all[rank * 2 + 1] == all[1],
                    "rank {} starts with other weights than rank 0", rank);
}

// A learning rate of 0 leaves the weights as they are to the last bit; expert biases move all the same and are put
// back; the moments are cleared again.
bool Trainer::warm_up() {
  const std::string before = executor_.parameters().weights_hash(executor_.stream());
  const std::vector<double> buffers = executor_.parameters().buffers(executor_.stream());
  const HostBatch batch = synthetic_batch(config_, config_.accumulation() * config_.train.micro_batch);
  for (int i = 0; i < kWarmUpSteps; ++i) {
    if (agreed_signal() != 0) return false;
    executor_.train_step(batch, 0, i);
  }
  if (agreed_signal() != 0) return false;
  executor_.evaluate(synthetic_batch(config_, config_.train.micro_batch));
  executor_.zero_moments();
  executor_.parameters().set_buffers(buffers, executor_.stream());
  TIMETRIAL_CHECK(executor_.parameters().weights_hash(executor_.stream()) == before, "warm-up changed the weights");
  check_equal_weights(before);
  return true;
}

Outcome Trainer::train(BatchSource& batches) {
  const int64_t interval = config_.evaluation_interval_steps(), first = config_.first_evaluation_step();
  log_.block_start(0);
  while (steps_ < config_.train.max_steps) {
    // With many ranks each goes by what all have learnt with a step's result, so that they stop after the same step.
    if (executor_.mesh().alone() ? interrupt_ != 0 : signal_ != 0) {
      collect_all();  // the last step counts, so its numbers belong into the log
      return Outcome::interrupted;
    }
    step(batches);
    if (!finite_) return Outcome::diverged;
    const bool due = steps_ >= first && steps_ % interval == 0;
    if (!due && steps_ != config_.train.max_steps) continue;
    collect_all();
    if (!finite_) return Outcome::diverged;
    log_.block_stop(samples());
    const std::optional<double> loss = evaluate();
    if (!loss) return Outcome::interrupted;
    if (!std::isfinite(*loss)) return Outcome::diverged;
    if (*loss <= config_.evaluation.target) return Outcome::target_reached;
    if (steps_ < config_.train.max_steps) log_.block_start(samples());
  }
  return Outcome::step_limit;
}

void Trainer::step(BatchSource& batches) {
  const double started = monotonic_seconds();
  const HostBatch& batch = [&]() -> const HostBatch& {
    const Stopwatch waiting(split_.data);
    return batches.next();
  }();
  const double learning_rate = learning_rate_at(config_.train, steps_);
  if (traced_steps_ > 0) start_or_stop_trace();
  {
    const Stopwatch working(split_.step);
    if (interrupt_ != 0) executor_.ask_to_stop(interrupt_);
    const Executor::Ticket ticket = executor_.train_step(batch, learning_rate, steps_);
    const bool done = executor_.stream().device.kind == DeviceKind::cpu;
    queued_.push_back({.step = steps_,
                       .learning_rate = learning_rate,
                       .started = started,
                       .finished = done ? monotonic_seconds() : 0,
                       .communication = executor_.communication(),
                       .ticket = ticket});
  }
  ++steps_;
  // Where steps are queued, the device has the next one before the host waits for the last. Many ranks take results
  // at the same point of the loop, whichever of them is ready first, so that they learn of a signal together.
  const bool early = executor_.mesh().alone();
  while (queued_.size() > 1 || (early && !queued_.empty() && executor_.has_result(queued_.front().ticket))) collect();
}

// The window holds whole steps: the device is waited for at both ends.
void Trainer::start_or_stop_trace() {
  const int64_t since = steps_ - kStepsBeforeTrace;
  if (since != 0 && !(tracing_ && since >= traced_steps_)) return;
  executor_.wait();
  tracing_ ? stop_recording(executor_.stream().device) : start_recording(executor_.stream().device);
  tracing_ = !tracing_;
  if (!tracing_) traced_steps_ = 0;
}

void Trainer::collect_all() {
  while (!queued_.empty()) collect();
}

void Trainer::collect() {
  const Queued step = queued_.front();
  queued_.pop_front();
  const StepResult result = [&] {
    const Stopwatch working(split_.step);
    return executor_.result(step.ticket);
  }();
  // While a step runs the next batch is read: that time is the earlier step's, not both steps'.
  const double finished = step.finished > 0 ? step.finished : monotonic_seconds();
  const double seconds = finished - std::max(step.started, collected_);
  collected_ = finished;
  const int64_t done = step.step + 1;
  const int64_t tokens = config_.train.global_batch * config_.model.sequence_length;
  StepReport report{.step = done,
                    .samples = done * config_.train.global_batch,
                    .loss = result.loss,
                    .gradient_norm = result.gradient_norm,
                    .learning_rate = step.learning_rate,
                    .multi_token_loss = result.multi_token_loss,
                    .aux_loss = result.aux_loss,
                    .tokens_per_second = static_cast<double>(tokens) / seconds,
                    .tokens = tokens,
                    .seconds = seconds,
                    .communication_seconds = {},
                    .exposed_seconds = {},
                    .expert_load = result.expert_load};
  if (step.communication) {
    report.communication_seconds = step.communication->busy - communicated_.busy;
    report.exposed_seconds = step.communication->waited - communicated_.waited;
    communicated_ = *step.communication;
  }
  last_step_ = report;
  signal_ = std::max(signal_, result.signal);
  deadline_.add(seconds);
  executor_.mesh().set_deadline(deadline_.seconds());
  finite_ = finite_ && std::isfinite(result.loss) && std::isfinite(result.gradient_norm);
  {
    const Stopwatch logging(split_.log);
    log_.train_step(report, seconds);
  }
  const Stopwatch telling(split_.progress);
  reporter_.step(report);
}

std::optional<double> Trainer::evaluate() {
  const Stopwatch evaluating(split_.evaluation);
  log_.evaluation_start(samples());
  const std::optional<double> loss = evaluate_all(executor_, data_, config_.model.sequence_length, interrupt_);
  if (!loss) {
    agreed_signal();
    return std::nullopt;
  }
  last_evaluation_ = *loss;
  const EvaluationReport report{
      .step = steps_, .samples = samples(), .loss = last_evaluation_, .seconds = monotonic_seconds() - run_started_};
  log_.evaluation_result(report);
  log_.evaluation_stop(samples());
  reporter_.evaluation(report);
  return last_evaluation_;
}

}  // namespace timetrial
