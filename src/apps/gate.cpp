// Emulated devices and broken rules stop here, before anything is written.
// SPDX-License-Identifier: Apache-2.0
#include "apps/gate.h"

#include <nlohmann/json.hpp>

#include "timetrial/base/error.h"
#include "timetrial/device/sensors.h"

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

}  // namespace timetrial::apps
