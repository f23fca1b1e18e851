// exec's arguments and its failure.
// SPDX-License-Identifier: Apache-2.0
#include "launch/exec.h"

#include <cerrno>
#include <cstring>

namespace timetrial::launch {

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

UserError cannot_start(const std::string& program, int why) {
  return UserError(fmt::format("{} cannot be started ({}){}", program, std::strerror(why),
                               why == ENOENT && program == "mpirun"
                                   ? "; install Open MPI (Debian: openmpi-bin), or leave --launcher mpirun out"
                                   : ""));
}

}  // namespace timetrial::launch
