// Looks and what they add up to.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/device_watch.h"

#include <algorithm>
#include <limits>
#include <vector>

#include <fmt/ranges.h>

#include "timetrial/base/clock.h"
#include "timetrial/base/error.h"

namespace timetrial {

DeviceWatch::DeviceWatch(const DeviceSensors& sensors, RunLog& log, std::unique_ptr<Reporter> next, double interval)
    : sensors_(sensors),
      log_(log),
      next_(std::move(next)),
      interval_(interval),
      last_look_(-std::numeric_limits<double>::infinity()) {}

void DeviceWatch::stage(const char* what) { next_->stage(what); }

void DeviceWatch::step(const StepReport& report) {
  if (monotonic_seconds() - last_look_ >= interval_) look();
  next_->step(report);
}

void DeviceWatch::evaluation(const EvaluationReport& report) { next_->evaluation(report); }

void DeviceWatch::look() {
  last_look_ = monotonic_seconds();
  last_ = sensors_.state();
  ++looks_;
  if (!last_.throttled_by.empty()) ++throttled_;
  for (const std::string& reason : last_.throttled_by)
    if (++reasons_[reason] == 1) log_.warning(fmt::format("the GPU is throttled: {}", reason));
  // One of them is this run, whose number the driver may give as it is outside a container.
  const int others = last_.processes.value_or(1) - 1;
  if (others > most_others_) {
    most_others_ = others;
    log_.warning(fmt::format("the GPU is shared: {} other process{}", others, others == 1 ? "" : "es"));
  }
}

std::string DeviceWatch::summary() const {
  if (looks_ == 0) return "";
  std::vector<std::string> parts;
  if (throttled_ > 0) {
    std::vector<std::string> reasons;
    for (const auto& [reason, times] : reasons_) reasons.push_back(fmt::format("{} {}", reason, times));
    parts.push_back(fmt::format("GPU throttled in {} of {} looks ({})", throttled_, looks_, fmt::join(reasons, ", ")));
  }
  if (most_others_ > 0)
    parts.push_back(fmt::format("GPU shared with {} other process{}", most_others_, most_others_ == 1 ? "" : "es"));
  std::vector<std::string> now;
  if (last_.power) now.push_back(fmt::format("{:.0f} W", *last_.power));
  if (last_.temperature) now.push_back(fmt::format("{} C", *last_.temperature));
  if (last_.sm_clock) now.push_back(fmt::format("{} MHz", *last_.sm_clock));
  if (!now.empty()) parts.push_back(fmt::format("{} at the last look", fmt::join(now, ", ")));
  return fmt::format("{}", fmt::join(parts, "; "));
}

}  // namespace timetrial
