// One run of the worker program, from its arguments to its exit code.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "timetrial/config/environment.h"
#include "timetrial/config/run_config.h"

namespace timetrial::apps {

struct WorkerArguments {
  std::string config;
  std::vector<std::string> overrides;
  bool rank_map = false;     // with plan: where every rank stands, and nothing else
  bool start_facts = false;  // print them and stop
  bool plan = false, json = false, clear_caches = false, caches_cleared = false;
  int64_t ranks = 0;    // in all; sets the data-parallel ones; 0: as the config says
  int64_t profile = 0;  // steps to profile instead of training
  bool evaluate_only = false;
  std::string metrics;            // file for step metrics; empty: none
  int64_t trace_steps = 0;        // to bracket for an outside profiler
  std::string verify_checkpoint;  // folder to hold against the run's model instead of training; empty: none
  std::string command;            // what `run --dry-run` would start; printed below the plan
};

// Throws UserError and Error; returns the exit code otherwise. `interrupt` becomes a signal's number.
int run_worker(const WorkerArguments& arguments, const std::atomic<int>& interrupt);

}  // namespace timetrial::apps
