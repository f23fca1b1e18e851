// Child: one process that was started, and the pipe it speaks into.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

namespace timetrial::launch {

enum class Speaks { freely, into_pipe, stdout_into_pipe };

struct Child {
  pid_t pid = -1;
  int pipe = -1;  // to read what it says; -1: it shares this process's stdout and stderr
};

// fork and exec, because posix_spawn cannot ask for a signal at the parent's death: in a process group of its own, no
// signal blocked, stdin empty, SIGTERM when the calling thread is gone. Throws UserError when arguments[0] cannot be
// run, Error when there is no pipe.
Child start_child(const std::vector<std::string>& arguments,
                  const std::vector<std::pair<std::string, std::string>>& variables, Speaks speaks);

}  // namespace timetrial::launch
