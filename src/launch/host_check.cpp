// Limits and files of this host, and what they mean for a run.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/launch/host_check.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "timetrial/base/error.h"
#include "timetrial/base/identity.h"
#include "timetrial/base/open_files.h"

namespace timetrial::launch {

namespace {

constexpr uint64_t kMega = 1000 * 1000, kGiga = 1000 * kMega;
// Of /dev/shm. NCCL keeps the buffers of ranks that cannot reach each other's GPU directly there, a few tens of MB for
// each pair; Open MPI 4 takes 4 MiB for each rank at its start and a little more for what this program asks of it.
constexpr uint64_t kSharedPerGpuRank = 128 * kMega, kSharedPerCpuRank = 8 * kMega;
constexpr uint64_t kLogs = 100 * kMega;  // of a long run with one line per step
// Open files of a process: programs, libraries and strangers at its door; and connections that it keeps to each rank.
constexpr uint64_t kFiles = 256;

// Rank 0 keeps the control plane's. Open MPI's non-blocking collectives send from every rank to every other one, over
// TCP unless the hosts share a faster network.
uint64_t files_wanted(const HostNeeds& needs) {
  const auto ranks = static_cast<uint64_t>(needs.ranks);
  return kFiles + (needs.serves ? ranks : 0) + (needs.several_hosts && !needs.gpus ? ranks : 0);
}

std::string bytes_text(uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  return bytes >= kGiga ? fmt::format("{:.2f} GB", value / 1e9) : fmt::format("{:.2f} MB", value / 1e6);
}

struct Space {
  uint64_t all, free;
};

// Of the file system that holds the path, or would: its nearest folder that is there.
std::optional<Space> space_of(const std::string& path) {
  std::error_code failure;
  std::filesystem::path folder = std::filesystem::absolute(path, failure);
  while (!folder.empty() && folder != folder.parent_path() && !std::filesystem::exists(folder, failure))
    folder = folder.parent_path();
  struct statvfs system {};
  if (statvfs(folder.c_str(), &system) != 0 || system.f_blocks == 0) return std::nullopt;  // /proc has none
  return Space{.all = uint64_t{system.f_blocks} * system.f_frsize, .free = uint64_t{system.f_bavail} * system.f_frsize};
}

std::string first_word(const std::string& path) {
  std::string word;
  std::ifstream(path) >> word;
  return word;
}

rlimit limit_of(__rlimit_resource resource) {
  rlimit limit{};
  TIMETRIAL_CHECK(getrlimit(resource, &limit) == 0, "a limit cannot be read ({})", std::strerror(errno));
  return limit;
}

class Judge {
 public:
  Judge(const HostFacts& facts, const HostNeeds& needs) : facts_(facts), needs_(needs) {}

  std::vector<Finding> all() {
    shared_memory();
    locked_memory();
    open_files();
    disk();
    data();
    gpus();
    governor();
    return std::move(findings_);
  }

 private:
  // `advice` only where something is wrong.
  void add(Level level, const std::string& found, const std::string& advice) {
    findings_.push_back(
        {.level = level,
         .text = fmt::format("host {}: {}{}", facts_.host, found, level == Level::fine ? "" : ": " + advice)});
  }

  void shared_memory() {
    if (!facts_.shared_memory || needs_.local_ranks < 2) return;
    const uint64_t wanted =
        static_cast<uint64_t>(needs_.local_ranks) * (needs_.gpus ? kSharedPerGpuRank : kSharedPerCpuRank);
    const uint64_t free = facts_.shared_memory_free.value_or(0);
    add(free < wanted ? Level::warning : Level::fine,
        fmt::format("/dev/shm has {} free of {}; {} ranks talk through it and may need {}", bytes_text(free),
                    bytes_text(*facts_.shared_memory), needs_.local_ranks, bytes_text(wanted)),
        "delete what lies there, or mount it larger (containers: --shm-size, or --ipc=host)");
  }

  void locked_memory() {
    if (!needs_.gpus) return;
    if (!facts_.locked_memory) return add(Level::fine, "memory may be locked without limit", "");
    add(needs_.several_hosts ? Level::warning : Level::fine,
        fmt::format("{} of memory may be locked (ulimit -l); InfiniBand and RoCE need no limit",
                    bytes_text(*facts_.locked_memory)),
        "set \"memlock unlimited\" in /etc/security/limits.conf, or LimitMEMLOCK=infinity for slurmd (containers: "
        "--ulimit memlock=-1)");
  }

  void open_files() {
    const uint64_t wanted = files_wanted(needs_);
    add(facts_.open_files < wanted ? Level::error : Level::fine,
        fmt::format("{} files may be open at once (hard limit); each process of a run on {} rank{} needs {} here",
                    facts_.open_files, needs_.ranks, needs_.ranks == 1 ? "" : "s", wanted),
        "raise \"nofile\" in /etc/security/limits.conf, or LimitNOFILE of the service that starts jobs (containers: "
        "--ulimit nofile)");
  }

  void disk() {
    const std::string advice = "free the disk, or give another folder";
    if (facts_.disk_free)
      add(*facts_.disk_free < kLogs ? Level::warning : Level::fine,
          fmt::format("{} free for output.folder {}; logs may need {}", bytes_text(*facts_.disk_free), needs_.folder,
                      bytes_text(kLogs)),
          advice);
    if (facts_.checkpoint_free)
      add(*facts_.checkpoint_free < needs_.checkpoint_bytes ? Level::error : Level::fine,
          fmt::format("{} free for output.checkpoint {}; the weights need {}", bytes_text(*facts_.checkpoint_free),
                      needs_.checkpoint, bytes_text(needs_.checkpoint_bytes)),
          advice);
  }

  void data() {
    bool all = true;
    for (const DataFile& file : facts_.data_files) {
      if (file.problem.empty()) continue;
      all = false;
      add(Level::error, fmt::format("data file {} cannot be read ({}); every rank reads it", file.path, file.problem),
          "copy it to this host, or give a path on a shared file system");
    }
    if (all) add(Level::fine, fmt::format("{} data files can be read", facts_.data_files.size()), "");
  }

  void gpus() {
    for (const GpuUse& gpu : facts_.gpus) {
      add(gpu.processes > 0 ? Level::warning : Level::fine,
          fmt::format("{} is used by {} other process{}; a rank wants its GPU alone", gpu.name, gpu.processes,
                      gpu.processes == 1 ? "" : "es"),
          "nvidia-smi lists them; end them");
      if (!gpu.throttled_by.empty())
        add(Level::warning, fmt::format("{} is throttled ({})", gpu.name, fmt::join(gpu.throttled_by, ", ")),
            "see to its power and cooling, or steps will be slow");
    }
  }

  // With intel_pstate and amd_pstate "powersave" follows the load; with other drivers it is the lowest clock.
  void governor() {
    if (facts_.governor.empty()) return;
    const bool slow = facts_.governor == "powersave" && facts_.frequency_driver.find("pstate") == std::string::npos;
    add(slow ? Level::warning : Level::fine,
        fmt::format("the CPU governor is {} (driver {})", facts_.governor, facts_.frequency_driver),
        "cpupower frequency-set -g performance");
  }

  const HostFacts& facts_;
  const HostNeeds& needs_;
  std::vector<Finding> findings_;
};

}  // namespace

HostFacts look_at_host(const HostNeeds& needs) {
  HostFacts facts;
  facts.host = host_name();
  if (const auto space = space_of("/dev/shm"); space && std::filesystem::exists("/dev/shm")) {
    facts.shared_memory = space->all;
    facts.shared_memory_free = space->free;
  }
  const rlimit locked = limit_of(RLIMIT_MEMLOCK);
  if (locked.rlim_cur != RLIM_INFINITY) facts.locked_memory = locked.rlim_cur;
  allow_open_files(files_wanted(needs));
  facts.open_files = limit_of(RLIMIT_NOFILE).rlim_max;
  if (const auto space = space_of(needs.folder)) facts.disk_free = space->free;
  if (!needs.checkpoint.empty())
    if (const auto space = space_of(needs.checkpoint)) facts.checkpoint_free = space->free;
  for (const std::string& path : needs.data_files) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    facts.data_files.push_back({.path = path, .problem = file < 0 ? std::strerror(errno) : ""});
    if (file >= 0) close(file);
  }
  const std::string frequency = "/sys/devices/system/cpu/cpu0/cpufreq/";
  facts.governor = first_word(frequency + "scaling_governor");
  facts.frequency_driver = first_word(frequency + "scaling_driver");
  return facts;
}

std::vector<Finding> judge_host(const HostFacts& facts, const HostNeeds& needs) { return Judge(facts, needs).all(); }

std::string name_of(Level level) {
  switch (level) {
    case Level::fine:
      return "fine";
    case Level::warning:
      return "warning";
    case Level::error:
      return "error";
  }
  throw Error("a level that does not exist");
}

}  // namespace timetrial::launch
