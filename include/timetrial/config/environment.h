// Environment: what a launcher says about this process, read once and passed down as a value.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "timetrial/config/parallel_plan.h"

namespace timetrial {

struct RankFacts {
  std::string launcher;  // "Open MPI", "PMI", "Slurm" or "RANK": whose variables these are
  int rank = 0, size = 1;
  int local_rank = 0;  // on this host; where the launcher does not tell, the rank itself if one process is all there is
  bool operator==(const RankFacts&) const = default;
};

struct Environment {
  std::optional<RankFacts> rank;  // none: started by hand
};

using LookUp = std::function<std::optional<std::string>(const std::string&)>;

// Reads the variables of this process. Not thread safe against setenv in another thread; call it first in main.
Environment read_environment();

// The same from any source, for tests. Of several launchers the innermost counts: Open MPI, PMI, Slurm's srun, RANK and
// WORLD_SIZE. Throws UserError naming the variable for text that is no number, a rank without a size, a rank outside
// it.
Environment read_environment(const LookUp& look_up);

// Throws UserError when the launcher started another number of processes than the plan has ranks.
void check_world(const ParallelPlan& plan, const Environment& environment);

}  // namespace timetrial
