// Physical memory from the system, group limits from the kernel's files.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/base/memory_limit.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <string_view>

namespace timetrial {

namespace {

namespace fs = std::filesystem;

// A group's file holds a number of bytes, or "max".
bool read_bytes(const fs::path& file, size_t& bytes) {
  std::string text;
  std::ifstream stream(file);
  std::getline(stream, text);
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  return !text.empty() && failure == std::errc() && end == text.data() + text.size();
}

// Lowers `limit` to the smallest limit of `group` and its parents. Inside a container the group's own path may not be
// there, because what is mounted is already the group: the mount's own file then counts.
void apply_groups(const fs::path& mount, const char* file, fs::path group, MemoryLimit& limit) {
  while (true) {
    size_t bytes = 0;
    if (read_bytes(mount / group.relative_path() / file, bytes) && bytes < limit.bytes)
      limit = {.bytes = bytes, .of = fmt::format("this job ({} of {})", file, group.string())};
    if (!group.has_relative_path()) return;
    group = group.parent_path();
  }
}

// True for the list of controllers of a version 1 line that holds "memory": "cpu,memory".
bool controls_memory(std::string_view controllers) {
  while (!controllers.empty()) {
    const size_t end = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, end) == "memory") return true;
    controllers.remove_prefix(std::min(end + 1, controllers.size()));
  }
  return false;
}

}  // namespace

MemoryLimit memory_limit(const std::string& root) {
  MemoryLimit limit{.bytes = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGE_SIZE)),
                    .of = "this machine"};
  const fs::path mount = root + "/sys/fs/cgroup";
  std::ifstream groups(root + "/proc/self/cgroup");  // lines of "hierarchy:controllers:path"
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    if (controllers.empty()) {
      apply_groups(mount, "memory.max", path, limit);
      apply_groups(mount / "unified", "memory.max", path, limit);  // both versions at once
    } else if (controls_memory(controllers)) {
      apply_groups(mount / "memory", "memory.limit_in_bytes", path, limit);
    }
  }
  return limit;
}

}  // namespace timetrial
