// find_logs: the log files that command-line arguments mean, folders searched.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace timetrial::mllog {

// A log to read, or a place that cannot be searched or holds none.
struct FoundLog {
  std::string path;
  std::string problem;  // empty: read it. Otherwise one clause that says what is wrong and what to do.
};

// Arguments that are no folder stand for themselves, whatever they are. In a folder and all folders below, files named
// result_<anything>.txt are logs, as MLPerf's submission layout has it; symbolic links are followed, and a folder that
// several links lead to is read once, and what an argument names that an earlier one named is left out. A link back to
// a folder that it lies in, a folder that cannot be read, and an argument without any log in it become problems. In the
// order of the arguments, and in a folder by path, numbers in names by value (result_2 before result_10). Thread-safe.
std::vector<FoundLog> find_logs(const std::vector<std::string>& arguments);

}  // namespace timetrial::mllog
