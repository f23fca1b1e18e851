// Cores and device of a rank belong together.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/comm/bootstrap.h"
#include "timetrial/config/run_config.h"

namespace timetrial::apps {

// Collective. Ranks that a launcher left on the same cores of a host share them out: beside each one's GPU, or by the
// order of memory nodes on the CPU. Before any thread computes, because threads inherit where their maker may run.
void keep_to_own_cores(const RunConfig& config, comm::Bootstrap& bootstrap);

}  // namespace timetrial::apps
