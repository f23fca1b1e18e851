// Running something on every rank of a plan: in this process alone, as threads of it, or beside processes that a
// launcher started. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "timetrial/base/error.h"
#include "timetrial/comm/bootstrap.h"
#include "timetrial/config/environment.h"
#include "timetrial/config/run_config.h"

namespace timetrial::apps {

// What all ranks throw alike, because they have compared something: one of them prints it, and none is to blame.
class SharedRefusal : public UserError {
 public:
  using UserError::UserError;
};

// What processes that a launcher started talk through: MPI's.
using MakeBootstrap = std::function<std::unique_ptr<comm::Bootstrap>()>;

// Calls `rank` for every rank that this process is, and returns the exit code that rank 0 returned, or, where rank 0 is
// another process, this one's. One rank runs on the calling thread. CPU ranks that no launcher started are threads;
// those of mpirun or srun talk through MPI. Throws UserError where the launcher started another number, or where this
// build cannot reach the others, and what a rank threw; among processes one prints that instead.
int on_every_rank(const RunConfig& config, const Environment& environment, const MakeBootstrap& processes,
                  const std::function<int(comm::Bootstrap&)>& rank);

// Ranks that share this rank's cores with it, itself among them: those of its host with the same affinity. Collective.
int ranks_on_same_cores(comm::Bootstrap& bootstrap);

}  // namespace timetrial::apps
