// MemoryLimit: how much memory this process may have, and who says so.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

namespace timetrial {

struct MemoryLimit {
  size_t bytes;
  std::string of;  // "this machine", or "this job (memory.max of /system.slice/slurmstepd.scope/job_7)"
};

// The smallest of the machine's memory and the limits of the control groups that this process is in, with their
// parents (version 2: memory.max; version 1: memory.limit_in_bytes). Slurm, containers and systemd set limits there.
// Groups that cannot be read set none. `root` stands before /proc and /sys, for tests.
MemoryLimit memory_limit(const std::string& root = "");

}  // namespace timetrial
