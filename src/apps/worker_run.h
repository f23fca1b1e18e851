// One run of the worker program, from its arguments to its exit code.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "apps/ranks.h"
#include "timetrial/comm/mpi.h"
#include "timetrial/config/environment.h"
#include "timetrial/config/run_config.h"

namespace timetrial {
class Workload;
}

namespace timetrial::apps {

struct WorkerArguments {
  std::string config;
  std::vector<std::string> overrides;
  bool rank_map = false;     // with plan: where every rank stands, and nothing else
  bool start_facts = false;  // print them and stop
  bool plan = false, json = false, clear_caches = false;
  int64_t ranks = 0;    // in all; sets the data-parallel ones; 0: as the config says
  int64_t profile = 0;  // steps to profile instead of training
  bool evaluate_only = false;
  std::string metrics;            // file for step metrics; empty: none
  int64_t trace_steps = 0;        // to bracket for an outside profiler
  std::string verify_checkpoint;  // folder to hold against the run's model instead of training; empty: none
  std::string command;            // what `run --dry-run` would start; printed below the plan
};

struct RunOptions {
  bool clear_caches = false;
  bool json = false;         // the outcome as one JSON object instead of a sentence
  std::string metrics = {};  // file for step metrics; empty: none
  int64_t trace_steps = 0;   // to bracket for an outside profiler
  bool evaluate_only = false;
  Environment environment = {};  // who started this process
  // What several processes talk through. Tests put one in between that fails on purpose.
  MakeBootstrap processes = comm::make_mpi_bootstrap;
};

// Trains `workload` as configured on all ranks that this process is, rank 0 prints the one line of the outcome; returns
// the exit code. Tests come in here with a workload that is wrong on purpose.
int train(const RunConfig& config, const Workload& workload, const RunOptions& options,
          const std::atomic<int>& interrupt);

// Throws UserError and Error; returns the exit code otherwise. `interrupt` becomes a signal's number.
int run_worker(const WorkerArguments& arguments, const std::atomic<int>& interrupt);

}  // namespace timetrial::apps
