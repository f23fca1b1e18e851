// Binding: the cores that a rank keeps to, so that ranks of one host neither share cores nor cross memory nodes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace timetrial::launch {

// The hardware threads, by the operating system's numbers, of each rank of a host.
using Shares = std::vector<std::vector<int>>;

// Equal, disjoint pieces of whole cores for each of `ranks` ranks, in the order of the memory (NUMA) nodes, so that
// rank 0 is on the first node and the last rank on the last, as local ranks and devices are numbered on the hosts this
// is made for. With more ranks than cores several share a core. `synthetic` is hwloc's description of a machine
// ("numa:2 core:4 pu:1"); empty: this one, as far as this process may use it. Throws UserError for a description hwloc
// does not take.
Shares share_out_cores(int ranks, const std::string& synthetic = "");

// The same for ranks with a device each, by local rank: "0000:1b:00.0" as CUDA and NVML write it. Each rank gets cores
// beside its device, and ranks beside the same cores share them out equally. Where the machine does not tell for one of
// the devices (a virtual machine, an id that is not there), as if nobody had one. `xml` is a file that hwloc exported;
// empty: this machine.
Shares share_out_cores_beside(const std::vector<std::string>& devices, const std::string& xml = "");

// Keeps this process to these hardware threads. Throws Error when the system refuses.
void bind_to(const std::vector<int>& hardware_threads);

// Where this process may run: "hardware threads 0-3,8-11, memory node 0".
std::string own_place();

}  // namespace timetrial::launch
