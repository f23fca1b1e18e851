// Binding: the cores that a rank keeps to, so that ranks of one host neither share cores nor cross memory nodes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace timetrial::launch {

// The hardware threads, by the operating system's numbers, of each of `ranks` ranks on a host: equal, disjoint pieces
// of whole cores, in the order of the memory (NUMA) nodes, so that rank 0 is on the first node and the last rank on the
// last, as local ranks and devices are numbered on the hosts this is made for. With more ranks than cores several
// share a core. `synthetic` is hwloc's description of a machine ("numa:2 core:4 pu:1"); empty: this one, as far as this
// process may use it. Throws UserError for a description hwloc does not take.
std::vector<std::vector<int>> share_out_cores(int ranks, const std::string& synthetic = "");

// Keeps this process to these hardware threads. Throws Error when the system refuses.
void bind_to(const std::vector<int>& hardware_threads);

}  // namespace timetrial::launch
