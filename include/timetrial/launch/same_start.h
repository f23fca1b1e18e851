// What must be the same on every rank before a run starts, and the sentence that says who differs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "timetrial/base/json.h"

namespace timetrial::launch {

struct StartFact {
  std::string what;      // "program", "configuration", "PREFIX.idx"; the same facts in the same order on every rank
  std::string value;     // empty: this rank does not look, because another one of its host does
  bool of_host = false;  // one rank of each host looks for all of them
};

struct RankStart {
  std::string host;
  std::vector<StartFact> facts;
};

// One rank's facts as bytes for the others. start_from throws Error for other bytes.
std::string text_of(const RankStart& start);
RankStart start_from(const std::string& text);

// The same as a few bytes: the start's two kinds of facts as one hash each. Ranks agree when these starts do.
RankStart brief(const RankStart& start);

struct StartDifference {
  std::string what;            // the first fact in which ranks differ
  std::vector<int> odd, rest;  // ranks of the smaller camp, and of the larger one; of two equal ones rank 0's
};

// `all` in rank order. `what` is empty when all agree. Three or more camps: the smallest against the largest.
StartDifference start_difference(const std::vector<RankStart>& all);

// "rank 2 on host n2 has another program (1f2e) than ranks 0 and 1 (33ab)"
std::string text_of(const StartDifference& difference, const std::vector<RankStart>& all);

// The first key, in order, in which two configurations differ: "train.global_batch is 16 ... , 8 ...". Empty: none.
struct KeyDifference {
  std::string key, one, other;  // values as JSON; "nothing" where the key is not there
};
KeyDifference key_difference(const Json& one, const Json& other);

}  // namespace timetrial::launch
