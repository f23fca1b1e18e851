// `timetrial profile`: a few training steps, and where their time went.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/config/run_config.h"
#include "timetrial/data/batch_source.h"
#include "timetrial/train/model.h"

namespace timetrial::apps {

// Trains `steps` steps after a few that are not counted, writes no log, and prints per op: calls, time, share, rates
// and what they are of this machine's ceilings. Returns the exit code.
int profile(const RunConfig& config, const Workload& workload, DataProvider& data, int64_t steps, bool json);

}  // namespace timetrial::apps
