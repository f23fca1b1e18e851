// Which bootstrap a run gets.
// SPDX-License-Identifier: Apache-2.0
#include "apps/ranks.h"

#include <sched.h>

#include <algorithm>
#include <atomic>

#include "apps/exit_code.h"
#include "timetrial/base/identity.h"
#include "timetrial/comm/mpi.h"
#include "timetrial/comm/thread_ranks.h"

namespace timetrial::apps {

namespace {

// Tells the others why this rank ends before its memory goes, then lets the error on.
int told(comm::Bootstrap& bootstrap, const std::function<int(comm::Bootstrap&)>& rank) {
  try {
    return rank(bootstrap);
  } catch (const std::exception& error) {
    bootstrap.abort(fmt::format("rank {} ended: {}", bootstrap.rank(), error.what()));
    throw;
  }
}

// The processors this process may use, as text: "0-3,8" without the ranges.
std::string affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return "unknown";
  std::string text;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &set)) text += fmt::format("{},", core);
  return text;
}

}  // namespace

int on_every_rank(const RunConfig& config, const Environment& environment,
                  const std::function<int(comm::Bootstrap&)>& rank) {
  if (environment.rank && environment.rank->size > 1) {
    const auto bootstrap = comm::make_mpi_bootstrap();
    if (bootstrap->size() != environment.rank->size)
      throw UserError(fmt::format(
          "{} says {} processes, MPI knows {}: start them with the mpirun of the MPI this program was built "
          "with, or srun --mpi=pmix",
          environment.rank->launcher, environment.rank->size, bootstrap->size()));
    set_thread_rank(bootstrap->rank());
    return told(*bootstrap, rank);
  }
  const int ranks = config.parallel.world_size();
  if (ranks == 1) return rank(*comm::make_single_bootstrap());
  if (config.device.kind == DeviceKind::cuda)
    throw ConfigError("/parallel/dp",
                      fmt::format("{} GPU ranks are {} processes; start them with mpirun or srun", ranks, ranks));
  std::atomic<int> code{kSuccess};
  comm::run_thread_ranks(ranks, [&](comm::Bootstrap& bootstrap) {
    const int mine = told(bootstrap, rank);
    if (bootstrap.rank() == 0) code = mine;
  });
  return code;
}

int ranks_on_same_cores(comm::Bootstrap& bootstrap) {
  const std::string mine = host_name() + " " + affinity();
  const std::vector<std::string> all = bootstrap.all_gather(mine);
  return static_cast<int>(std::count(all.begin(), all.end(), mine));
}

}  // namespace timetrial::apps
