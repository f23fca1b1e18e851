// Whether all processes of a run are the same run: program, configuration, libraries, data, clocks.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "timetrial/comm/bootstrap.h"
#include "timetrial/config/run_config.h"

namespace timetrial::apps {

// Collective. Throws SharedRefusal that names who differs in what, and DataError on a rank that lacks a data file.
// Reads index files, once per host, and looks at the size of the others.
void check_same_start(const RunConfig& config, comm::Bootstrap& bootstrap);

// Collective. One line when clocks of hosts are so far apart that their logs cannot be laid side by side; rank 0 prints
// it too.
std::optional<std::string> compare_clocks(comm::Bootstrap& bootstrap);

}  // namespace timetrial::apps
