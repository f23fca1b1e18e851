// The dataset that is furthest behind its share gives the next sample.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/data/blend.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "timetrial/base/error.h"

namespace timetrial {

Blend::Blend(const std::vector<double>& weights, int64_t samples) : weights_(weights), samples_(samples) {
  TIMETRIAL_CHECK(samples >= 0, "{} samples", samples);
  if (weights.empty() || weights.size() > 32767) {
    throw UserError(fmt::format("{} datasets in a blend; give 1 to 32767", weights.size()));
  }
  for (const double weight : weights) {
    if (!(weight > 0) || !std::isfinite(weight)) {
      throw UserError(fmt::format("a blend weight is {}; give positive numbers", weight));
    }
  }
  const double sum = std::accumulate(weights_.begin(), weights_.end(), 0.0);
  for (double& weight : weights_) weight /= sum;

  datasets_.reserve(static_cast<size_t>(samples));
  items_.reserve(static_cast<size_t>(samples));
  std::vector<int64_t> counts(weights_.size(), 0);
  for (int64_t i = 0; i < samples; ++i) {
    const auto share = static_cast<double>(std::max<int64_t>(i, 1));
    size_t behind = 0;
    double most = weights_[0] * share - static_cast<double>(counts[0]);
    for (size_t d = 1; d < weights_.size(); ++d) {
      const double error = weights_[d] * share - static_cast<double>(counts[d]);
      if (error > most) {
        most = error;
        behind = d;
      }
    }
    datasets_.push_back(static_cast<int16_t>(behind));
    items_.push_back(counts[behind]++);
  }
}

BlendItem Blend::item(int64_t i) const {
  TIMETRIAL_CHECK(i >= 0 && i < size(), "item {} of {}", i, size());
  return {datasets_[static_cast<size_t>(i)], items_[static_cast<size_t>(i)]};
}

int64_t Blend::requested(size_t dataset) const {
  TIMETRIAL_CHECK(dataset < weights_.size(), "dataset {} of {}", dataset, weights_.size());
  return requested(samples_, weights_[dataset]);
}

int64_t Blend::requested(int64_t samples, double share) {
  return static_cast<int64_t>(std::ceil(std::ceil(static_cast<double>(samples) * share) * 1.005));
}

}  // namespace timetrial
