// Emulated devices and broken rules stop here, before anything is written.
// SPDX-License-Identifier: Apache-2.0
#include "apps/gate.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "timetrial/base/error.h"
#include "timetrial/device/sensors.h"
#include "timetrial/results/reference_points.h"

namespace timetrial::apps {

void refuse_emulation(const RunConfig& config, const Json& benchmark) {
  if (config.variant != benchmark["mlperf"]["variant"].get<std::string>() || !is_emulated({.kind = config.device.kind}))
    return;
  throw ConfigError("/device/kind",
                    fmt::format("\"cuda\" is emulated on the CPU in this build, for tests; a run of {}/{} needs a GPU "
                                "and a build with --preset cuda",
                                config.workload, config.variant));
}

void refuse_rule_breaches(const std::vector<std::string>& breaches) {
  if (breaches.empty()) return;
  throw UserError(fmt::format(
      "{}{}; run it with --division open where the open rules allow it, or as variant \"custom\", which claims nothing",
      breaches.front(), breaches.size() > 1 ? fmt::format(" (and {} more)", breaches.size() - 1) : ""));
}

std::optional<std::string> batch_warning(const RunConfig& config, const Json& benchmark) {
  const Json& mlperf = benchmark["mlperf"];
  if (mlperf["benchmark"].is_null() || config.variant != mlperf["variant"] || config.submission.division != "closed")
    return std::nullopt;
  const auto ruleset = mlperf["ruleset"].get<std::string>();
  const auto known = results::reference_points(ruleset, config.workload);
  TIMETRIAL_CHECK(known && !known->points.empty(), "no reference points of {} in {}", config.workload, ruleset);
  double largest = 0;
  for (const results::ReferencePoint& point : known->points) largest = std::max(largest, point.batch);
  if (static_cast<double>(config.train.global_batch) <= largest) return std::nullopt;
  return fmt::format(
      "a batch of {} is above {:.0f}, the largest with a reference convergence point (rules {}): no result of it "
      "passes "
      "the convergence check; set train.global_batch to {:.0f} at most, or ask for a reference convergence point first",
      config.train.global_batch, largest, ruleset, largest);
}

}  // namespace timetrial::apps
