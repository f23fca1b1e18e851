// RLIMIT_NOFILE.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/base/open_files.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "timetrial/base/error.h"

namespace timetrial {

uint64_t allow_open_files(uint64_t wanted) {
  rlimit limit{};
  TIMETRIAL_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0, "no limit of open files ({})", std::strerror(errno));
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = std::max(before, std::min<rlim_t>(wanted, limit.rlim_max));
  return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before;
}

}  // namespace timetrial
