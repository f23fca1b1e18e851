// What is made ready, and refused, before a run's log begins: threads, file caches, the output folder, hosts.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "timetrial/comm/bootstrap.h"
#include "timetrial/config/environment.h"
#include "timetrial/config/run_config.h"
#include "timetrial/launch/host_check.h"

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

// Throws ConfigError when output.folder holds a run already.
void refuse_used_folder(const RunConfig& config);

// As make_output_folder refuses, and as far as one can tell without making anything.
void refuse_closed_folder(const RunConfig& config);

// Makes output.folder, if need be, with effective_config.json in it. Throws ConfigError when the folder holds a run
// already or cannot be written; nothing is left behind then and nothing is written over.
void make_output_folder(const RunConfig& config);

struct Hosts {
  int processes_here = 1;  // ranks on this host that are processes
  bool several = false;    // hosts
  bool serves = false;     // this one is rank 0's, and ranks are processes
};
launch::HostNeeds host_needs(const RunConfig& config, const Hosts& hosts);

// What this host says to these needs, with the devices that ranks will use on it.
std::vector<launch::Finding> look_before_start(const launch::HostNeeds& needs, const std::vector<Device>& devices);

// A dry run's view of them: this host in the place of every one, and what else it refuses of the run, a line each.
// Returns how many would end the run.
int add_host(const RunConfig& config, const std::vector<std::string>& refusals, Json& plan, std::string& text);

// Collective, before anything is written or computed: each host is looked at, each rank's device by the rank. Rank 0
// prints what may hurt, which is returned on every rank, and what will fail, which throws SharedRefusal.
std::vector<std::string> check_hosts(const RunConfig& config, const Environment& environment,
                                     comm::Bootstrap& bootstrap, Device device);

}  // namespace timetrial::apps
