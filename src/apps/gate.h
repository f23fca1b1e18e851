// The gate of a benchmark's run: what keeps it from starting.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "timetrial/config/run_config.h"

namespace timetrial::apps {

// A device that the CPU plays tests this program; it stands in no run of the benchmark's own variant. Throws
// ConfigError.
void refuse_emulation(const RunConfig& config, const Json& benchmark);
// A run that claims the full benchmark and cannot be it does not start. Throws UserError that names the first breach.
void refuse_rule_breaches(const std::vector<std::string>& breaches);

}  // namespace timetrial::apps
