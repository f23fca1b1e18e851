// StartLine: the exact command that starts the ranks of a run, chosen from what is asked and where the program runs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "timetrial/base/device_kind.h"
#include "timetrial/config/environment.h"

namespace timetrial::launch {

// automatic: take the place a launcher gave this process; inside a Slurm allocation srun; several GPU ranks elsewhere:
// processes that this program starts itself; else this process alone, whose CPU ranks are threads.
enum class Launcher { automatic, here, mpirun, srun, processes };

struct StartRequest {
  Launcher launcher = Launcher::automatic;
  int64_t ranks = 0;                    // 0: not asked, so the job's own number of tasks counts
  DeviceKind device = DeviceKind::cpu;  // what a rank computes on
  Environment environment;
  std::vector<std::string> worker;                             // the worker's path and arguments
  std::vector<std::string> options = {};                       // of the user's for mpirun or srun, behind our own
  std::vector<std::pair<std::string, std::string>> variables;  // NAME, value: handed to every rank, each named
  std::string slurm_mpi = "pmix";                              // srun's --mpi
};

struct StartLine {
  Launcher launcher = Launcher::here;                          // never automatic
  std::vector<std::string> arguments;                          // [0] is found along PATH
  std::vector<std::pair<std::string, std::string>> variables;  // handed to the ranks by name
};

// For processes the line is the worker's, one for each rank (rank_processes.h). Throws UserError when the request
// contradicts itself: a launcher inside another one's process, srun outside an allocation, more ranks than the job has
// tasks, mpirun without a number of ranks, processes for CPU ranks, options where neither mpirun nor srun starts ranks.
StartLine start_line(const StartRequest& request);

// The variables of this process that ranks must see and a log records, sorted: names that begin with NCCL_, OMP_,
// GOMP_, DNNL_, CUDA_, OMPI_MCA_, UCX_ or TIMETRIAL_, but none that tells a process its place.
std::vector<std::pair<std::string, std::string>> variables_for_ranks(const char* const* environment);

// The line as a POSIX shell reads it, variables first.
std::string text_of(const StartLine& line);

// The same line, but mpirun says why it starts nothing.
std::string explaining_text_of(StartLine line);

// Replaces this process by the line. Returns only by throwing UserError when it cannot be started.
[[noreturn]] void become(const StartLine& line);

}  // namespace timetrial::launch
