// Cores dealt out by hwloc.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/launch/binding.h"

#include <hwloc.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <numeric>

#include "timetrial/base/error.h"

namespace timetrial::launch {

namespace {

using Topology = std::unique_ptr<hwloc_topology, decltype(&hwloc_topology_destroy)>;

using Bitmap = std::unique_ptr<hwloc_bitmap_s, decltype(&hwloc_bitmap_free)>;

Bitmap make_bitmap() { return {hwloc_bitmap_alloc(), &hwloc_bitmap_free}; }

// A machine to look at: described, exported, or (both empty) this one.
struct Machine {
  std::string synthetic, xml;
  bool devices = false;  // with PCI devices, which take hwloc a while to find
};

Topology load(const Machine& machine) {
  hwloc_topology_t raw = nullptr;
  TIMETRIAL_CHECK(hwloc_topology_init(&raw) == 0, "hwloc cannot start ({})", std::strerror(errno));
  Topology topology(raw, &hwloc_topology_destroy);
  if (!machine.synthetic.empty() && hwloc_topology_set_synthetic(raw, machine.synthetic.c_str()) != 0)
    throw UserError(fmt::format("\"{}\" describes no machine that hwloc knows", machine.synthetic));
  if (!machine.xml.empty() && hwloc_topology_set_xml(raw, machine.xml.c_str()) != 0)
    throw UserError(fmt::format("{} is no machine that hwloc exported", machine.xml));
  if (machine.devices) hwloc_topology_set_io_types_filter(raw, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
  TIMETRIAL_CHECK(hwloc_topology_load(raw) == 0, "hwloc cannot read this machine ({})", std::strerror(errno));
  if (!machine.synthetic.empty() || !machine.xml.empty()) return topology;
  // What the launcher or a control group left to this process.
  const Bitmap mine = make_bitmap();
  if (hwloc_get_cpubind(raw, mine.get(), HWLOC_CPUBIND_PROCESS) == 0) hwloc_topology_restrict(raw, mine.get(), 0);
  return topology;
}

// Cores, or where a virtual machine has none, hardware threads; hwloc numbers them node by node.
std::vector<hwloc_obj_t> cores_inside(hwloc_topology_t topology, hwloc_const_cpuset_t within) {
  std::vector<hwloc_obj_t> cores;
  for (const hwloc_obj_type_t type : {HWLOC_OBJ_CORE, HWLOC_OBJ_PU}) {
    for (hwloc_obj_t core = nullptr;
         (core = hwloc_get_next_obj_inside_cpuset_by_type(topology, within, type, core)) != nullptr;)
      cores.push_back(core);
    if (!cores.empty()) break;
  }
  TIMETRIAL_CHECK(!cores.empty(), "hwloc sees no core");
  return cores;
}

// Deals `cores` out to the ranks that `ranks` lists.
void deal(const std::vector<hwloc_obj_t>& cores, const std::vector<size_t>& ranks, Shares& shares) {
  const size_t count = cores.size(), wanted = ranks.size();
  for (size_t i = 0; i < wanted; ++i) {
    const size_t begin = i * count / wanted, end = std::max(begin + 1, (i + 1) * count / wanted);
    for (size_t core = begin; core < end; ++core)
      for (int unit = -1; (unit = hwloc_bitmap_next(cores[core]->cpuset, unit)) >= 0;) shares[ranks[i]].push_back(unit);
  }
}

Shares deal_to_all(hwloc_topology_t topology, size_t ranks) {
  Shares shares(ranks);
  std::vector<size_t> all(ranks);
  std::iota(all.begin(), all.end(), size_t{0});
  deal(cores_inside(topology, hwloc_get_root_obj(topology)->cpuset), all, shares);
  return shares;
}

// The cores beside a device; null where the machine does not tell.
hwloc_cpuset_t beside(hwloc_topology_t topology, const std::string& device) {
  const hwloc_obj_t found = hwloc_get_pcidev_by_busidstring(topology, device.c_str());
  if (found == nullptr) return nullptr;
  const hwloc_obj_t place = hwloc_get_non_io_ancestor_obj(topology, found);
  return place == hwloc_get_root_obj(topology) || hwloc_bitmap_iszero(place->cpuset) ? nullptr : place->cpuset;
}

std::string list_text(hwloc_const_bitmap_t bits) {
  char* text = nullptr;
  if (hwloc_bitmap_list_asprintf(&text, bits) < 0) return "unknown";
  const std::unique_ptr<char, decltype(&std::free)> owner(text, &std::free);
  return text;
}

}  // namespace

Shares share_out_cores(int ranks, const std::string& synthetic) {
  TIMETRIAL_CHECK(ranks > 0, "{} ranks", ranks);
  return deal_to_all(load({.synthetic = synthetic, .xml = {}}).get(), static_cast<size_t>(ranks));
}

Shares share_out_cores_beside(const std::vector<std::string>& devices, const std::string& xml) {
  TIMETRIAL_CHECK(!devices.empty(), "0 ranks");
  const Topology topology = load({.synthetic = {}, .xml = xml, .devices = true});
  std::map<std::string, std::vector<size_t>> neighbours;  // by the cores that they are beside
  std::map<std::string, hwloc_cpuset_t> places;
  for (size_t rank = 0; rank < devices.size(); ++rank) {
    const hwloc_cpuset_t place = beside(topology.get(), devices[rank]);
    if (place == nullptr) return deal_to_all(topology.get(), devices.size());
    const std::string name = list_text(place);
    neighbours[name].push_back(rank);
    places[name] = place;
  }
  Shares shares(devices.size());
  for (const auto& [name, ranks] : neighbours) deal(cores_inside(topology.get(), places[name]), ranks, shares);
  return shares;
}

std::string own_place() {
  const Topology topology = load({});
  const Bitmap mine = make_bitmap(), nodes = make_bitmap();
  if (hwloc_get_cpubind(topology.get(), mine.get(), HWLOC_CPUBIND_THREAD) != 0) return "unknown hardware threads";
  hwloc_cpuset_to_nodeset(topology.get(), mine.get(), nodes.get());
  return fmt::format("hardware threads {}, memory node {}", list_text(mine.get()), list_text(nodes.get()));
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
