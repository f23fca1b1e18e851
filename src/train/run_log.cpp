// Keys and order of a run's log records.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/run_log.h"

#include <nlohmann/json.hpp>

#include "timetrial/base/error.h"
#include "timetrial/config/precision.h"
#include "timetrial/mllog/check.h"
#include "timetrial/mllog/own_keys.h"

namespace timetrial {

namespace {

Json at_samples(int64_t samples) { return {{"samples_count", samples}}; }

}  // namespace

RunLog::RunLog(const RunConfig& config) { writer_.emplace(config.output.folder + "/result_0.txt"); }

RunLog::~RunLog() {
  try {
    if (started_ && !closed_) run_stop("aborted", samples_);
  } catch (const std::exception&) {
    // The writer has reported its failure already; there is nowhere left to say it.
  }
}

void RunLog::init_start(bool caches_cleared, int64_t time_ms) {
  if (!writer_) return;
  started_ = true;
  writer_->event_at(time_ms, "cache_clear", caches_cleared);
  writer_->interval_start_at(time_ms, "init_start", nullptr);
}

void RunLog::configuration(const RunConfig& config, int64_t training_samples) {
  if (!writer_) return;
  const TrainConfig& train = config.train;
  const auto put = [&](std::string_view key, const Json& value) { writer_->event(key, value); };
  put("submission_benchmark", config.workload);
  put("submission_org", config.submission.organization);
  put("submission_division", config.submission.division);
  put("submission_status", config.submission.status);
  put("submission_platform", config.submission.platform);
  put("seed", train.seed);
  put("global_batch_size", train.global_batch);
  put("gradient_accumulation_steps", config.accumulation());
  put("max_sequence_length", config.model.sequence_length);
  put("eval_samples", config.evaluation.samples);
  put("train_samples", training_samples);
  // Steps that the starting weights bring along. None, in every run: a checkpoint gives weights alone, optimizer and
  // step count begin anew (spec 7.2, 7.3), and a run that ended is not continued. The rules of llama31_405b demand 0.
  put("init_checkpoint_step", 0);
  put("opt_name", "adamw");
  put("opt_base_learning_rate", train.learning_rate);
  put("opt_adamw_beta_1", train.beta_1);
  put("opt_adamw_beta_2", train.beta_2);
  put("opt_adamw_epsilon", train.epsilon);
  put("opt_adamw_weight_decay", train.weight_decay);
  put("opt_gradient_clip_norm", train.clip_norm);
  put("opt_end_learning_rate", train.end_learning_rate);
  put("opt_learning_rate_warmup_steps", train.warmup_steps);
  put("opt_learning_rate_decay_steps", train.decay_steps);
  put("max_steps", train.max_steps);
  put("opt_learning_rate_decay_schedule", "cosine with linear warmup");
  if (config.model.router.kind == RouterKind::sigmoid) put("moe_aux_loss_coeff", config.model.router.aux_loss);
  put("target_accuracy", config.evaluation.target);
  put("tensor_parallelism", config.parallel.tensor);
  put("pipeline_parallelism", config.parallel.pipeline);
  put("context_parallelism", config.parallel.context);
  put("expert_parallelism", config.parallel.expert);
  put("micro_batch_size", train.micro_batch);
  put("config_filename", config.name);
  const LowestPrecision lowest = lowest_precision(config);
  put("lowest_numerical_precision_in_linear", mllog_name_of(lowest.linear));
  put("lowest_numerical_precision_in_attn", mllog_name_of(lowest.attention));
  put("lowest_numerical_precision_in_comm", mllog_name_of(lowest.communication));
  // Keys of our own; readers ignore keys they do not know.
  put(mllog::kVariantKey, config.variant);
  put(mllog::kFormKey, config.form);
  put(mllog::kConfigHashKey, config_hash(config));
  put("timetrial_effective_config", effective_json(config));
  std::vector<mllog::ScaledCheck> scaled;
  for (const ScaledRule& rule : config.scaled_rules)
    scaled.push_back({.key = rule.key, .description = rule.description, .expected = expected_value(config, rule.key)});
  mllog::log_scaled_rules(*writer_, scaled);
}

void RunLog::seed_drawn(bool drawn) {
  if (writer_) writer_->event(mllog::kSeedDrawnKey, drawn);
}

void RunLog::device(const DeviceIdentity& identity, const std::string& note) {
  if (!writer_) return;
  const auto or_null = [](const auto& value) { return value ? Json(*value) : Json(nullptr); };
  writer_->event("timetrial_device", {{"name", identity.name},
                                      {"driver", identity.driver},
                                      {"compute_capability", fmt::format("{}.{}", identity.major, identity.minor)},
                                      {"memory_bytes", identity.memory_bytes},
                                      {"ecc", or_null(identity.ecc)},
                                      {"max_sm_clock_mhz", or_null(identity.max_sm_clock)},
                                      {"max_memory_clock_mhz", or_null(identity.max_memory_clock)},
                                      {"power_limit_watts", or_null(identity.power_limit)}});
  if (!note.empty()) warning(note);
}

void RunLog::evaluation_only() {
  if (writer_) writer_->event("timetrial_evaluation_only", true);
}

void RunLog::warning(const std::string& text) {
  if (writer_) writer_->event("timetrial_warning", text);
}

void RunLog::environment(const std::string& file, int64_t variables, int64_t ranks_that_differ) {
  if (!writer_) return;
  writer_->event("timetrial_environment",
                 {{"file", file}, {"variables", variables}, {"ranks_that_differ", ranks_that_differ}});
}

void RunLog::libraries(const std::vector<std::string>& choices) {
  if (!writer_) return;
  for (const std::string& line : choices) writer_->event("timetrial_library", line);
}

void RunLog::init_stop() {
  if (writer_) writer_->interval_end("init_stop", nullptr);
}

void RunLog::run_start() {
  if (!writer_) return;
  running_ = true;
  writer_->interval_start("run_start", nullptr);
  writer_->interval_start("epoch_start", nullptr, at_samples(0));
}

void RunLog::block_start(int64_t samples) {
  if (!writer_) return;
  in_block_ = true;
  writer_->interval_start("block_start", nullptr, at_samples(samples));
}

void RunLog::train_step(const StepReport& report, double seconds) {
  if (!writer_) return;
  samples_ = report.samples;
  Json stats = {{"reduced_train_loss", report.loss},
                {"train_step_time", seconds},
                {"gradient_norm", report.gradient_norm},
                {"learning_rate", report.learning_rate}};
  if (report.multi_token_loss) stats["multi_token_loss"] = *report.multi_token_loss;
  if (report.aux_loss) stats["aux_loss"] = *report.aux_loss;
  writer_->event("tracked_stats", stats, {{"samples_count", report.samples}, {"step", report.step}});
}

void RunLog::block_stop(int64_t samples) {
  if (!writer_) return;
  in_block_ = false;
  writer_->interval_end("block_stop", nullptr, at_samples(samples));
}

void RunLog::evaluation_start(int64_t samples) {
  if (!writer_) return;
  in_evaluation_ = true;
  writer_->interval_start("eval_start", nullptr, at_samples(samples));
}

void RunLog::evaluation_result(const EvaluationReport& report) {
  if (!writer_) return;
  writer_->event("eval_accuracy", report.loss, {{"samples_count", report.samples}, {"step", report.step}});
}

void RunLog::evaluation_stop(int64_t samples) {
  if (!writer_) return;
  in_evaluation_ = false;
  writer_->interval_end("eval_stop", nullptr, at_samples(samples));
}

void RunLog::run_stop(const std::string& status, int64_t samples) {
  if (!writer_) return;
  closed_ = true;
  if (in_evaluation_) evaluation_stop(samples);
  if (in_block_) block_stop(samples);
  if (running_) writer_->interval_end("epoch_stop", nullptr, at_samples(samples));
  writer_->interval_end("run_stop", nullptr, {{"samples_count", samples}, {"status", status}});
  writer_->flush();
}

}  // namespace timetrial
