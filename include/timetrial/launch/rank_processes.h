// The ranks of one machine as processes that `timetrial run` starts itself: what each is told, and as a line to read.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "timetrial/launch/supervisor.h"

namespace timetrial::launch {

// A TCP port on which nothing listens, kept from others as long as this lives; rank 0 can listen on it meanwhile.
class ReservedPort {
 public:
  // Throws Error when the system gives none.
  ReservedPort();
  ~ReservedPort();
  ReservedPort(const ReservedPort&) = delete;
  ReservedPort& operator=(const ReservedPort&) = delete;
  int number() const { return number_; }

 private:
  int socket_ = -1, number_ = 0;
};

struct ProcessStart {
  std::vector<std::string> worker;  // its path and arguments
  int ranks = 1;                    // all on this machine
  int port = 0;                     // where rank 0 will listen
  std::string run_id;               // what tells this start from others
  std::string folder;               // of the run: ranks/rank_<n>.log in it takes what other ranks than 0 print
};

// A name that no other start has.
std::string new_run_id();

// One program per rank with TIMETRIAL_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE, _RENDEZVOUS and _RUN_ID. Rank 0 speaks to
// the user, the others into their log files.
std::vector<Program> rank_programs(const ProcessStart& start);

// The same as one line that a POSIX shell reads, for all ranks.
std::string text_of(const ProcessStart& start);

// The log file of a rank in a run's folder: "FOLDER/ranks/rank_3.log".
std::string rank_log_path(const std::string& folder, int rank);

}  // namespace timetrial::launch
