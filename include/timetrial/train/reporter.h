// Reporter: what a person sees while a run goes on. The log is somebody else's (RunLog).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <vector>

#include "timetrial/config/run_config.h"

namespace timetrial {

struct StepReport {
  int64_t step = 0;                                            // steps done
  int64_t samples = 0;                                         // training sequences done
  double loss = 0, gradient_norm = 0, learning_rate = 0;       // of the last step whose values have come back
  std::optional<double> multi_token_loss = {}, aux_loss = {};  // of StepResult
  double tokens_per_second = 0;                                // from the step before to this one
  int64_t tokens = 0;                                          // of the step
  double seconds = 0;                                          // of the step
  // Of this rank's step: in collectives, late ranks included; and how much of that its computation waited for. The
  // gathers after a step are the next one's. None where the host cannot tell (CUDA), or there is nobody to talk to.
  std::optional<double> communication_seconds = {}, exposed_seconds = {};
  // Per layer of experts the tokens that each expert got; empty without experts, or when nobody asked for it.
  std::vector<std::vector<int64_t>> expert_load = {};
};

struct EvaluationReport {
  int64_t step = 0, samples = 0;
  double loss = 0;     // nats per token
  double seconds = 0;  // since run start
};

// Called from the training thread between steps; implementations must be quick.
class Reporter {
 public:
  virtual ~Reporter() = default;
  virtual void stage(const char* what) = 0;  // "warm-up", "training"
  virtual void step(const StepReport& report) = 0;
  virtual void evaluation(const EvaluationReport& report) = 0;
};

// A progress bar on a terminal, plain lines otherwise: step, loss, tokens/s, evaluation loss, estimate to target.
std::unique_ptr<Reporter> make_progress(const RunConfig& config, std::FILE* stream);

// Tells nobody: of a rank whose run another rank tells about.
std::unique_ptr<Reporter> make_silence();

// Training samples at which the target is expected, from the straight line through the last two evaluations over the
// logarithm of the samples. None while it cannot be told: fewer than two evaluations, or no progress.
class TargetEstimate {
 public:
  explicit TargetEstimate(double target) : target_(target) {}
  void add(int64_t samples, double loss);
  std::optional<double> samples_to_target() const;

 private:
  double target_;
  EvaluationReport previous_{}, last_{};
  int count_ = 0;
};

}  // namespace timetrial
