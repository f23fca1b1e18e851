// Starting ranks and staying: what `timetrial run` does where nobody else would close the log of a run whose rank 0 is
// gone. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "timetrial/config/start_facts.h"
#include "timetrial/launch/start_line.h"

namespace timetrial::apps {

// The run as the worker understands it, whose path and arguments `worker` is.
struct Answer {
  int code = 0;  // not 0: the worker refuses the run and has said why
  StartFacts facts;
};
Answer ask_worker(std::vector<std::string> worker);

// Starts mpirun or one process per rank, waits, ends those that hang once one has failed, and closes the log as aborted
// if the run made one and left it open. Returns the exit code of the start.
int start_and_stay(const launch::StartLine& start, const StartFacts& facts);

}  // namespace timetrial::apps
