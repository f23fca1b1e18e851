// For tests: the log of a full-size closed gpt_oss_20b run that never happened, its losses from a scripted curve.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>

#include "timetrial/mllog/check.h"
#include "timetrial/mllog/writer.h"

namespace timetrial::mllog {
namespace {

constexpr int64_t kBatch = 16, kStepsPerBlock = 768;  // 768 x 16 = 12288 samples, the rules' interval
constexpr int64_t kWarmup = 128, kMaxSteps = 1200000;
constexpr double kTarget = 3.34, kLearningRate = 4e-4;

// The organisation is TEST, so that nobody takes the log for a result.
constexpr const char* kOrganization = "TEST";

// Log perplexity after that many samples: 12.34 untrained (uniform over the vocabulary), the target at about 195,000.
double scripted_loss(int64_t samples) {
  return 2.3 + 10.04 * std::pow(1.0 + static_cast<double>(samples) / 2200.0, -0.508);
}

Json at(int64_t samples, int64_t step) { return {{"samples_count", samples}, {"step", step}}; }

void write_configuration(Writer& log) {
  log.event("submission_benchmark", "gpt_oss_20b");
  log.event("submission_org", kOrganization);
  log.event("submission_division", "closed");
  log.event("submission_status", "onprem");
  log.event("submission_platform", "TEST_scripted");
  log.event("seed", 20817);
  log.event("global_batch_size", kBatch);
  log.event("gradient_accumulation_steps", 1.0);
  log.event("max_sequence_length", 8192);
  log.event("eval_samples", 1024);
  log.event("train_samples", 1574207408);
  log.event("init_checkpoint_step", 0);
  log.event("opt_name", "adamw");
  log.event("opt_base_learning_rate", kLearningRate);
  log.event("opt_adamw_beta_1", 0.9);
  log.event("opt_adamw_beta_2", 0.95);
  log.event("opt_adamw_epsilon", 1e-05);
  log.event("opt_adamw_weight_decay", 0.1);
  log.event("opt_gradient_clip_norm", 1.0);
  log.event("opt_end_learning_rate", 0.1 * kLearningRate);
  log.event("opt_learning_rate_warmup_steps", kWarmup);
  log.event("opt_learning_rate_decay_steps", kMaxSteps - kWarmup);
  log.event("max_steps", kMaxSteps);
  log.event("opt_learning_rate_decay_schedule", "cosine with linear warmup");
  log.event("target_accuracy", kTarget);
  log.event("tensor_parallelism", 1);
  log.event("pipeline_parallelism", 1);
  log.event("context_parallelism", 1);
  log.event("expert_parallelism", 1);
  log.event("micro_batch_size", 2);
  log.event("config_filename", "scripted");
  for (const char* part : {"linear", "attn", "comm"})
    log.event(std::string("lowest_numerical_precision_in_") + part, "bfloat16");
}

// The order of the v6.0 logs of this benchmark (workload digest 13.3). Returns whether the target was reached.
void write_run(Writer& log) {
  log.interval_start("run_start", nullptr);
  for (int64_t step = 0;; step += kStepsPerBlock) {
    log.interval_start("block_start", nullptr, at(kStepsPerBlock * kBatch, step));
    for (int64_t inner = step; inner < step + kStepsPerBlock; inner += 32)
      log.event("tracked_stats",
                {{"train_step_time", 0.41}, {"reduced_train_loss", scripted_loss(inner * kBatch) + 0.02}},
                at(inner * kBatch, inner));
    const int64_t end = step + kStepsPerBlock, samples = end * kBatch;
    log.interval_end("block_stop", nullptr, at(kStepsPerBlock * kBatch, end));
    log.interval_start("eval_start", nullptr, at(samples, end));
    log.event("tracked_stats", {{"validation_time", 6.3}}, at(samples, end));
    const double loss = scripted_loss(samples);
    log.event("eval_accuracy", loss, at(samples, end));
    log.interval_end("eval_stop", nullptr, at(samples, end));
    if (loss > kTarget) continue;
    log.interval_end("run_stop", nullptr, {{"samples_count", samples}, {"status", "success"}});
    return;
  }
}

}  // namespace
}  // namespace timetrial::mllog

int main(int argc, char** argv) {
  using namespace timetrial::mllog;
  if (argc != 2) {
    std::fputs("usage: write_scripted_log FILE\n", stderr);
    return 2;
  }
  try {
    Writer log(argv[1]);
    log.event("cache_clear", true);
    log.interval_start("init_start", nullptr);
    write_configuration(log);
    log.interval_end("init_stop", nullptr);
    write_run(log);
    log.flush();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "write_scripted_log: %s\n", error.what());
    return 2;
  }
  return 0;
}
