// judge_seeds: does every run of a result log a seed of its own, as the official package checker demands?
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "timetrial/base/json.h"

namespace timetrial::results {

struct SeedRecord {
  int64_t line = 0;
  Json value, metadata;
};

// What a log holds under the key seed, in file order.
struct SeedReading {
  std::vector<SeedRecord> records;
  std::string
      trouble;  // the first record of the log that cannot be read: the official checker then reads no seed of it
};

struct SeedVerdict {
  std::vector<std::string> problems;  // one line each; empty: passed
  std::vector<std::string> notes;     // logs with several seeds, which the official checker warns of
  bool passed() const { return problems.empty(); }
};

// By rules digest 5.2: every log can be read throughout and holds at least one seed; every seed is something that
// Python's int() takes (12, 12.7, true, " 12 "); and no two records of the whole result have the same
// metadata.file, metadata.lineno and seed. `names` are the logs' own, one for each reading. Integers beyond 64 bits are
// compared as doubles.
SeedVerdict judge_seeds(const std::vector<SeedReading>& readings, const std::vector<std::string>& names);

}  // namespace timetrial::results
