// The benchmark folders of a round, and what stands between them that is none.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "results/system_facts.h"
#include "timetrial/results/round.h"

namespace timetrial::results {

struct RoundFolder {
  std::string path, organization, system, benchmark;
  SystemFacts system_facts;
  int64_t bytes = 0;  // of its logs
};

struct RoundFolders {
  std::vector<RoundFolder> folders;  // by path
  std::vector<ImportProblem> problems;
  int64_t logs = 0, bytes = 0;
};

// Goes down <organisation>/results/<system>/<benchmark> and no further, so that no link leads it astray; a folder
// reached twice is read once. Benchmarks outside `benchmarks` are named and left out. Throws DataError when `folder` is
// none or holds no organisation.
RoundFolders find_round_folders(const std::string& folder, const std::vector<std::string>& benchmarks);

// "b" of "a/b" and "a/b/"; of "." the name of the current folder.
std::string last_part(const std::string& folder);

}  // namespace timetrial::results
