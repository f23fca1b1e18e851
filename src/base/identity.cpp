// Host name from the operating system, rank from a thread-local.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/base/identity.h"

#include <unistd.h>

#include <array>
#include <fstream>

namespace timetrial {

namespace {
thread_local int current_rank = 0;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "unknown";
  return name.data();
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (line.starts_with("model name") && colon != std::string::npos && colon + 2 < line.size())
      return line.substr(colon + 2);
  }
  return "unknown processor";
}

int thread_rank() { return current_rank; }
void set_thread_rank(int rank) { current_rank = rank; }

}  // namespace timetrial
