// How many files this process may have open: its soft limit is its own to raise, up to the hard one.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace timetrial {

// Raises the limit of this process as far as `wanted` needs and the hard limit allows; what the limit is then. Programs
// that it starts have it too. Throws Error when the system tells no limit.
uint64_t allow_open_files(uint64_t wanted);

}  // namespace timetrial
