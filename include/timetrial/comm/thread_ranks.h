// Ranks as threads of one process: for CPU ranks on one machine without MPI, and for tests.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "timetrial/comm/bootstrap.h"

namespace timetrial::comm {

// Runs `rank(bootstrap)` on `ranks` threads, with thread_rank() set, and returns when all have ended. The exception
// that came first is thrown again then; the other ranks' collectives throw once it has come, so that they end too. With
// CUDA every rank takes the device of its local rank.
void run_thread_ranks(int ranks, const std::function<void(Bootstrap&)>& rank);

}  // namespace timetrial::comm
