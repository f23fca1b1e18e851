// Environment: what a launcher says about this process, read once and passed down as a value.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "timetrial/config/parallel_plan.h"

namespace timetrial {

struct RankFacts {
  std::string launcher;  // "timetrial", "Open MPI", "PMI", "Slurm" or "RANK": whose variables these are
  int rank = 0, size = 1;
  int local_rank = 0;  // on this host; where the launcher does not tell, the rank itself if one process is all there is
  int local_size = 0;  // ranks on this host; 0: the launcher does not tell
  bool operator==(const RankFacts&) const = default;
};

// Where rank 0 waits for the others.
struct Address {
  std::string host;  // name or IP address
  int port = 0;      // 1 to 65535
  bool operator==(const Address&) const = default;
};

// The Slurm allocation that this process runs in.
struct SlurmAllocation {
  std::string job;    // SLURM_JOB_ID
  std::string nodes;  // SLURM_JOB_NODELIST, "node[01-04]"
  int node_count = 1;
  int tasks = 0;  // SLURM_NTASKS; 0: the job did not say
  bool operator==(const SlurmAllocation&) const = default;
};

struct Environment {
  std::optional<RankFacts> rank;         // none: started by hand
  std::optional<Address> rendezvous;     // none: nothing says where rank 0 is
  std::string run_id;                    // the same on all ranks of one start, another for each start; empty: not told
  std::optional<SlurmAllocation> slurm;  // none: not inside an allocation
  bool mpi = false;                      // the launcher offers an MPI library its place (PMIx, PMI)
};

using LookUp = std::function<std::optional<std::string>(const std::string&)>;

// Reads the variables of this process. Not thread safe against setenv in another thread; call it first in main.
Environment read_environment();

// The same from any source, for tests. The first of these that is there counts:
//   1. TIMETRIAL_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE: `timetrial run` started this process
//   2. OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE: Open MPI's mpirun
//   3. SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID, SLURM_STEP_TASKS_PER_NODE, when PMI_* does not say otherwise
//   4. PMI_RANK, PMI_SIZE, MPI_LOCALRANKID, MPI_LOCALNRANKS: MPICH's or Intel's mpiexec
//   5. RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE
// mpirun and mpiexec inside Slurm also show Slurm's variables, of the process that started the ranks; these are left
// aside. All others must agree: two that contradict each other, a rank without a size, a rank outside it, text that is
// no number, a launcher that says it started several processes but not which one this is: UserError, naming the
// variables with their values. The rendezvous comes from TIMETRIAL_RENDEZVOUS (host:port), else MASTER_ADDR and
// MASTER_PORT, else the first host of Slurm's step with a port made from job and step, else, when all ranks are on one
// host, from that host and a port made from the job's name.
Environment read_environment(const LookUp& look_up);

// "node[07-09,12],login" -> "node07". Throws UserError for text that is no list of hosts.
std::string first_host(const std::string& slurm_nodes);

// "2(x3),1" -> 2 for nodes 0 to 2, 1 for node 3. Throws UserError for other text or a node that is not there.
int tasks_on_node(const std::string& slurm_tasks_per_node, int node);

// Throws UserError, with the right command, when several processes were started in a way that leaves MPI to take each
// for the only one: srun without PMI, or variables set by hand.
void check_mpi_start(const Environment& environment, const std::string& config);

// Throws UserError when the launcher started another number of processes than the plan has ranks; it says which command
// starts the right number. `config` is the config file, for that command.
void check_world(const ParallelPlan& plan, const Environment& environment, const std::string& config);

}  // namespace timetrial
