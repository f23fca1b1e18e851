// HostCheck: what a host offers to the ranks on it, and which of it will stop or slow a run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace timetrial::launch {

// What is asked of one host.
struct HostNeeds {
  int64_t ranks = 1;    // of the whole run
  int local_ranks = 1;  // processes on this host
  bool gpus = false;    // ranks compute on GPUs
  bool several_hosts = false;
  bool serves = false;          // rank 0 is on this host and has a connection to every rank
  std::string folder = {};      // of the run; it need not be there yet
  std::string checkpoint = {};  // folder for the weights at the end; empty: none
  uint64_t checkpoint_bytes = 0;
  std::vector<std::string> data_files = {};  // that every rank reads
};

struct DataFile {
  std::string path, problem;  // problem empty: it can be read
};

// Of a GPU, from its driver.
struct GpuUse {
  std::string name;                       // "cuda:3"
  int processes = 0;                      // that compute on it
  std::vector<std::string> throttled_by;  // of DeviceState
};

// Empty where the system does not tell.
struct HostFacts {
  std::string host;
  std::optional<uint64_t> shared_memory, shared_memory_free;  // bytes of /dev/shm
  std::optional<uint64_t> locked_memory;                      // bytes a process may lock; none: no limit
  uint64_t open_files = 0;                                    // that a process may allow itself
  std::optional<uint64_t> disk_free, checkpoint_free;         // bytes where these folders are or would be
  std::vector<DataFile> data_files;
  std::string governor, frequency_driver;  // of the first core
  std::vector<GpuUse> gpus;
};

// GPUs are left to the caller. Allows this process the open files that the needs are about, as far as its hard limit
// goes.
HostFacts look_at_host(const HostNeeds& needs);

enum class Level { fine, warning, error };  // warning: the run will be slower, or may fail; error: it will fail
struct Finding {
  Level level = Level::fine;
  std::string text;  // one line: host, what was found, what is needed, what to do
  bool operator==(const Finding&) const = default;
};

// One finding for each thing that matters for these needs.
std::vector<Finding> judge_host(const HostFacts& facts, const HostNeeds& needs);

// "warning"
std::string name_of(Level level);

}  // namespace timetrial::launch
