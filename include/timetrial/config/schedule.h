// Learning-rate schedule as a pure function of the step.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "timetrial/config/run_config.h"

namespace timetrial {

// Learning rate of optimizer step `step` (from 0), spec 8.3: with W = warmup_steps and D = decay_steps, counted from
// the run's start, or D = W + decay_steps where decay_from says so,
//   step <= W: learning_rate * step / W, so the first step has rate 0 (W = 0: no warm-up, the first step has the peak),
//              or learning_rate * (step + 1) / (W + 1) with WarmUpForm::above_zero;
//   step <= D: end + (peak - end) * (1 + cos(pi (step - W) / (D - W))) / 2;
//   later: end.
// gpt_oss_20b sets D = 1,200,000 - W counted from the start, so the cosine spans 1,200,000 - 2 W steps and ends W steps
// before the horizon. The log reports decay_steps as it stands. Thread safe. Throws Error for a negative step.
double learning_rate_at(const TrainConfig& train, int64_t step);

}  // namespace timetrial
