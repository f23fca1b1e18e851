// The variables that all ranks of a run saw, gathered, written beside the log, and set for NCCL where the user did not.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/comm/bootstrap.h"
#include "timetrial/config/run_config.h"

namespace timetrial::apps {

// Collective: launch::environment_record on rank 0; null on the others.
Json gather_environment(comm::Bootstrap& bootstrap);

// Writes FOLDER/environment.json and returns its name. Throws Error when that fails.
std::string write_environment(const Json& record, const std::string& folder);

// NCCL's warnings go into FOLDER/ranks/rank_<n>.nccl.log, unless NCCL_DEBUG or NCCL_DEBUG_FILE say otherwise. Before
// NCCL's first call in this process, and while one thread runs.
void set_nccl_output(const std::string& folder, int rank);

}  // namespace timetrial::apps
