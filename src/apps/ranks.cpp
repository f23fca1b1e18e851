// Which bootstrap a run gets.
// SPDX-License-Identifier: Apache-2.0
#include "apps/ranks.h"

#include <sched.h>

#include <algorithm>
#include <atomic>

#include "apps/exit_code.h"
#include "apps/own_cores.h"
#include "apps/start_check.h"
#include "timetrial/base/identity.h"
#include "timetrial/comm/controlled_bootstrap.h"
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

// A collective that gave up is an effect; what else ends a rank is a cause.
comm::Blame blame_of(const std::exception& error) {
  if (dynamic_cast<const comm::LateError*>(&error) != nullptr) return comm::Blame::late;
  return dynamic_cast<const comm::CommError*>(&error) != nullptr ? comm::Blame::seen : comm::Blame::own;
}

std::string reason(const std::exception& error) {
  return dynamic_cast<const std::bad_alloc*>(&error) != nullptr ? "no memory is left" : error.what();
}

// One rank prints the line that says who is to blame, while the others still hold the line to it: their end would have
// a launcher end this one too. All end with the same code.
int ended(comm::ControlledBootstrap& bootstrap, const std::exception& error) {
  const bool shared = dynamic_cast<const SharedRefusal*>(&error) != nullptr;
  const std::string line = shared ? error.what() : bootstrap.end(reason(error), blame_of(error));
  bootstrap.speaks() ? print_error(line) : bootstrap.let_speak();
  if (shared) bootstrap.leave();
  return dynamic_cast<const UserError*>(&error) != nullptr ? kUserError : kClusterError;
}

int as_process(const RunConfig& config, const Environment& environment, const MakeBootstrap& processes,
               const std::function<int(comm::Bootstrap&)>& rank) {
  const bool mpi = config.device.kind == DeviceKind::cpu || (comm::has_mpi() && environment.mpi);
  if (mpi) check_mpi_start(environment, config.name + ".json");
  if (environment.rank) set_thread_rank(environment.rank->rank);
  comm::ControlledBootstrap bootstrap(mpi ? processes() : nullptr, environment,
                                      {.init = config.cluster.init_deadline, .call = config.cluster.step_deadline});
  try {
    check_same_start(config, bootstrap);
    keep_to_own_cores(config, bootstrap);
    const int code = rank(bootstrap);
    bootstrap.leave();
    return code;
  } catch (const std::exception& error) {
    return ended(bootstrap, error);
  }
}

}  // namespace

int on_every_rank(const RunConfig& config, const Environment& environment, const MakeBootstrap& processes,
                  const std::function<int(comm::Bootstrap&)>& rank) {
  if (environment.rank && environment.rank->size > 1) return as_process(config, environment, processes, rank);
  const int ranks = config.parallel.world_size();
  if (ranks == 1) return rank(*comm::make_single_bootstrap());
  if (config.device.kind == DeviceKind::cuda)
    throw ConfigError(
        "/parallel/dp",
        fmt::format("{} GPU ranks are {} processes; start them with timetrial run, mpirun or srun", ranks, ranks));
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
