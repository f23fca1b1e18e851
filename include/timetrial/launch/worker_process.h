// Starting the worker program: where it is, the exact line, and becoming it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace timetrial::launch {

// The worker beside the running program. Throws UserError when it is not there.
std::string worker_path();

// The arguments as one line that a POSIX shell reads back as the same arguments.
std::string shell_line(const std::vector<std::string>& arguments);

// The line that does what become() does: shell_line with the environment that become() adds.
std::string command_line(const std::vector<std::string>& arguments);

// Sets GOMP_SPINCOUNT for this process and what it starts, unless it is set.
void default_spin_count();

// Replaces this process by the program arguments[0]. Returns only by throwing UserError when it cannot be started.
[[noreturn]] void become(const std::vector<std::string>& arguments);

}  // namespace timetrial::launch
