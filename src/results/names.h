// Names of files in a sentence.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/ranges.h>

#include <string>
#include <vector>

namespace timetrial::results {

// "result_0.txt, result_1.txt", "result_0.txt and 8 more": two at most are named.
inline std::string names(const std::vector<std::string>& files) {
  if (files.size() <= 2) return fmt::format("{}", fmt::join(files, ", "));
  return fmt::format("{} and {} more", files.front(), files.size() - 1);
}

}  // namespace timetrial::results
