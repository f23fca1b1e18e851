// The null workload: an empty model under everything a run does around one. No MLPerf benchmark; it tells what the
// rest costs. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "timetrial/train/model.h"

namespace timetrial::null_workload {

// Data, sample order, schedule, staging, optimizer, log, evaluation and the clock are those of every run. The model has
// one parameter whose gradient is 0, so its weights never move, and a loss of 0, so the first evaluation ends the run.
std::unique_ptr<Workload> make_workload();

}  // namespace timetrial::null_workload
