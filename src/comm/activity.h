// Activities of ranks in words, and what those wait for who are not to blame.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "timetrial/base/json.h"
#include "timetrial/comm/control_plane.h"

namespace timetrial::comm {

Json to_json(const Activity& activity);
// An activity that another rank sent: anything that does not fit becomes nothing.
Activity activity_from(const Json& json);

// "training, step 12, inside all_reduce \"gradients\" (call 17)"; "starting" before anything was said.
std::string text_of(const Activity& activity);

struct Member {
  int rank;
  std::string host;
  int pid;
  Activity activity;
  bool operator==(const Member&) const = default;
};

// "rank 2 on host n2 (pid 123)"
std::string name_of(const Member& member);

// "; ranks 0, 1 and 3 waited in all_reduce \"gradients\" (call 17)", by what they did; no word of who made no call.
std::string others_text(const std::vector<Member>& others);

// The ranks that are elsewhere while more than half of all wait in one call; none when no such call is there.
std::vector<int> out_of_step(const std::vector<Member>& all);

}  // namespace timetrial::comm
