// What a rank is made of before it trains or evaluates: threads, device, data, groups, and its log.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/rank_log.h"
#include "apps/train_run.h"
#include "timetrial/data/indexed_data_provider.h"
#include "timetrial/parallel/process_mesh.h"
#include "timetrial/train/device_memory.h"
#include "timetrial/train/executor.h"
#include "timetrial/train/model.h"
#include "timetrial/train/run_log.h"

namespace timetrial::apps {

// What a rank is made of before its log and its model are.
struct Rank {
  RunConfig config;  // seed and platform filled in, the same on all ranks
  Device device;
  bool seed_drawn = false;  // not given by the user
  std::vector<std::string> warnings;
  std::unique_ptr<ProcessMesh> mesh;
  std::unique_ptr<DataProvider> data;
  DeviceMemory memory;        // marked up to the mesh
  int64_t init_start_ms = 0;  // Unix milliseconds
  bool first = true;          // prints, logs and saves for all
};

// What options ask for and this run cannot do, or weights that it cannot start from: ConfigError or UserError, before
// anything is written. Of a checkpoint only headers are read.
void refuse_wrong_start(const RunConfig& config, const Workload& workload, const RunOptions& options);

// What the run would be refused for on this machine, a line each, beside what host_needs asks of a host: its folder,
// its metrics file, memory for `ranks_here` ranks, its data where the files are there. Nothing is made to find out.
std::vector<std::string> refusals_here(const RunConfig& config, const Workload& workload, const RunOptions& options,
                                       int ranks_here);

// What every run does first: threads, seed, platform, and the refusal of what this machine cannot hold or read. Nothing
// is written before all ranks are through.
Rank prepare(RunConfig config, const Workload& workload, const RunOptions& options, comm::Bootstrap& bootstrap,
             RankLog& own);

// The data of a data rank, as the run reads it.
IndexedDataSpec data_spec(const RunConfig& config, int data_rank);

// The folder and the log of the run; on ranks after the first a log that writes nothing.
std::unique_ptr<RunLog> start_log(const Rank& rank, const RunOptions& options, comm::Bootstrap& bootstrap,
                                  RankLog& own);

// Weights come from the checkpoint that the run names, if it names one.
void choose_weights(Executor& executor, const RunConfig& config, const Workload& workload);

// A workload without rules, such as the null one, is none.
bool is_benchmark(const Workload& workload);

}  // namespace timetrial::apps
