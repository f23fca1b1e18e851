// Cores dealt out by hwloc.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/launch/binding.h"

#include <hwloc.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "timetrial/base/error.h"

namespace timetrial::launch {

namespace {

using Topology = std::unique_ptr<hwloc_topology, decltype(&hwloc_topology_destroy)>;

Topology load(const std::string& synthetic) {
  hwloc_topology_t raw = nullptr;
  TIMETRIAL_CHECK(hwloc_topology_init(&raw) == 0, "hwloc cannot start ({})", std::strerror(errno));
  Topology topology(raw, &hwloc_topology_destroy);
  if (!synthetic.empty() && hwloc_topology_set_synthetic(raw, synthetic.c_str()) != 0)
    throw UserError(fmt::format("\"{}\" describes no machine that hwloc knows", synthetic));
  TIMETRIAL_CHECK(hwloc_topology_load(raw) == 0, "hwloc cannot read this machine ({})", std::strerror(errno));
  if (!synthetic.empty()) return topology;
  // What the launcher or a control group left to this process.
  const std::unique_ptr<hwloc_bitmap_s, decltype(&hwloc_bitmap_free)> mine(hwloc_bitmap_alloc(), &hwloc_bitmap_free);
  if (hwloc_get_cpubind(raw, mine.get(), HWLOC_CPUBIND_PROCESS) == 0) hwloc_topology_restrict(raw, mine.get(), 0);
  return topology;
}

}  // namespace

std::vector<std::vector<int>> share_out_cores(int ranks, const std::string& synthetic) {
  TIMETRIAL_CHECK(ranks > 0, "{} ranks", ranks);
  const Topology topology = load(synthetic);
  std::vector<hwloc_obj_t> cores;
  for (hwloc_obj_t core = nullptr;
       (core = hwloc_get_next_obj_by_type(topology.get(), HWLOC_OBJ_CORE, core)) != nullptr;)
    cores.push_back(core);
  if (cores.empty())  // some virtual machines have none
    for (hwloc_obj_t unit = nullptr;
         (unit = hwloc_get_next_obj_by_type(topology.get(), HWLOC_OBJ_PU, unit)) != nullptr;)
      cores.push_back(unit);
  TIMETRIAL_CHECK(!cores.empty(), "hwloc sees no core");
  std::vector<std::vector<int>> shares(static_cast<size_t>(ranks));
  const size_t count = cores.size(), wanted = shares.size();
  for (size_t rank = 0; rank < wanted; ++rank) {
    // hwloc numbers cores node by node.
    const size_t begin = rank * count / wanted, end = std::max(begin + 1, (rank + 1) * count / wanted);
    for (size_t core = begin; core < end; ++core) {
      int unit = -1;
      while ((unit = hwloc_bitmap_next(cores[core]->cpuset, unit)) >= 0) shares[rank].push_back(unit);
    }
  }
  return shares;
}

void bind_to(const std::vector<int>& hardware_threads) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int unit : hardware_threads) CPU_SET(static_cast<size_t>(unit), &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0)
    throw Error(fmt::format("this process cannot be kept to its {} hardware threads ({})", hardware_threads.size(),
                            std::strerror(errno)));
}

}  // namespace timetrial::launch
