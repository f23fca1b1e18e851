// Training as one run: its options, and from a configuration to an exit code.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <string>

#include "apps/ranks.h"
#include "timetrial/comm/mpi.h"
#include "timetrial/config/environment.h"
#include "timetrial/config/run_config.h"

namespace timetrial {
class Workload;
}

namespace timetrial::apps {

struct RunOptions {
  bool clear_caches = false;    // drop the file caches of every host
  bool caches_cleared = false;  // the caller has; only the log learns of it
  bool json = false;            // the outcome as one JSON object instead of a sentence
  std::string metrics = {};     // file for step metrics; empty: none
  int64_t trace_steps = 0;      // to bracket for an outside profiler
  bool evaluate_only = false;
  Environment environment = {};  // who started this process
  // What several processes talk through. Tests put one in between that fails on purpose.
  MakeBootstrap processes = comm::make_mpi_bootstrap;
};

// Trains `workload` as configured on all ranks that this process is, rank 0 prints the one line of the outcome; returns
// the exit code. Tests come in here with a workload that is wrong on purpose.
int train(const RunConfig& config, const Workload& workload, const RunOptions& options,
          const std::atomic<int>& interrupt);

}  // namespace timetrial::apps
