// The gate of a benchmark's run: what keeps it from starting.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "timetrial/config/run_config.h"

namespace timetrial::apps {

// A device that the CPU plays tests this program; it stands in no run of the benchmark's own variant. Throws
// ConfigError.
void refuse_emulation(const RunConfig& config, const Json& benchmark);
// A run that claims the full benchmark and cannot be it does not start. Throws UserError that names the first breach.
void refuse_rule_breaches(const std::vector<std::string>& breaches);
// What a closed run of the full benchmark should hear before it spends its hours: a batch above the largest one with a
// reference convergence point, where no result passes the convergence check.
std::optional<std::string> batch_warning(const RunConfig& config, const Json& benchmark);

}  // namespace timetrial::apps
