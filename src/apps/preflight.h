// What is made ready, and refused, before a run's log begins: threads, file caches, the output folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "timetrial/config/run_config.h"

namespace timetrial::apps {

struct Neighbours {
  int ranks_on_cores = 1;  // ranks that share the cores of this process, this one among them
  bool print = true;       // the warning; one rank does it for all
};

// Sets the threads of the calling thread's ops to device.threads, or to this rank's share of the cores that the process
// may use. Returns one line for the user and the log when all ranks' threads are more than these cores.
std::optional<std::string> set_threads(const RunConfig& config, const Neighbours& neighbours = {});

// Empties the operating system's file caches. Throws UserError without the right to.
void drop_file_caches();

// Makes output.folder, if need be, with effective_config.json in it. Throws ConfigError when the folder holds a run
// already or cannot be written; nothing is left behind then and nothing is written over.
void make_output_folder(const RunConfig& config);

}  // namespace timetrial::apps
