// The ranks of one machine as processes that `timetrial run` starts itself: what each is told, and as a line to read.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "timetrial/comm/rendezvous.h"
#include "timetrial/launch/supervisor.h"

namespace timetrial::launch {

using comm::new_run_id;
using comm::ReservedPort;

struct ProcessStart {
  std::vector<std::string> worker;  // its path and arguments
  int ranks = 1;                    // all on this machine
  int port = 0;                     // where rank 0 will listen
  std::string run_id;               // what tells this start from others
  std::string folder;               // of the run: ranks/rank_<n>.log in it takes what other ranks than 0 print
};

// One program per rank with TIMETRIAL_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE, _RENDEZVOUS and _RUN_ID. Rank 0 speaks to
// the user, the others into their log files.
std::vector<Program> rank_programs(const ProcessStart& start);

// The same as one line that a POSIX shell reads, for all ranks.
std::string text_of(const ProcessStart& start);

// The log file of a rank in a run's folder: "FOLDER/ranks/rank_3.log".
std::string rank_log_path(const std::string& folder, int rank);

}  // namespace timetrial::launch
