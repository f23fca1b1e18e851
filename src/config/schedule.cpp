// Linear warm-up, then a cosine to the end rate.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/schedule.h"

#include <cmath>
#include <numbers>

#include "timetrial/base/error.h"

namespace timetrial {

double learning_rate_at(const TrainConfig& train, int64_t step) {
  TIMETRIAL_CHECK(step >= 0, "learning rate of step {}", step);
  const int64_t warmup = train.warmup_steps;
  const int64_t end = train.decay_steps + (train.decay_from == DecayFrom::warmup ? warmup : 0);
  TIMETRIAL_CHECK(warmup >= 0 && end > warmup, "warm-up of {} steps, decay until {}", warmup, end);
  if (step < warmup) {
    const int64_t ahead = train.warmup_form == WarmUpForm::above_zero ? 1 : 0;
    return train.learning_rate * static_cast<double>(step + ahead) / static_cast<double>(warmup + ahead);
  }
  if (step > end) return train.end_learning_rate;
  const double progress = static_cast<double>(step - warmup) / static_cast<double>(end - warmup);
  const double share = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return train.end_learning_rate + (train.learning_rate - train.end_learning_rate) * share;
}

}  // namespace timetrial
