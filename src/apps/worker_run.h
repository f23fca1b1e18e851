// One run of the worker program, from its arguments to its exit code.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "timetrial/config/run_config.h"

namespace timetrial {
class Workload;
}

namespace timetrial::apps {

struct WorkerArguments {
  std::string config;
  std::vector<std::string> overrides;
  bool plan = false, json = false, clear_caches = false;
  std::string command;  // what `run --dry-run` would start; printed below the plan
};

// Throws UserError and Error; returns the exit code otherwise. `interrupt` is set by a signal handler.
int run_worker(const WorkerArguments& arguments, const std::atomic<int>& interrupt);

}  // namespace timetrial::apps
