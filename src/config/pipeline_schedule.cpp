// Making and checking the order of work of a step.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/pipeline_schedule.h"

#include <algorithm>
#include <map>
#include <set>

#include "timetrial/base/error.h"

namespace timetrial {

std::vector<Action> make_accumulate_schedule(int micro_batches) {
  std::vector<Action> schedule;
  for (int micro = 0; micro < micro_batches; ++micro) {
    schedule.push_back({.act = Act::forward, .micro = micro});
    schedule.push_back({.act = Act::backward, .micro = micro});
  }
  schedule.push_back({.act = Act::update});
  return schedule;
}

int slots_in_flight(std::span<const Action> schedule) {
  int highest = 0;
  for (const Action& action : schedule) highest = std::max(highest, action.slot);
  return highest + 1;
}

void check_schedule(std::span<const Action> schedule, int micro_batches) {
  std::map<int, int> micro_in_slot;
  std::set<int> forwarded, done;
  for (size_t i = 0; i < schedule.size(); ++i) {
    const Action& action = schedule[i];
    switch (action.act) {
      case Act::forward:
        TIMETRIAL_CHECK(!micro_in_slot.contains(action.slot), "slot {} is reused before its backward", action.slot);
        TIMETRIAL_CHECK(forwarded.insert(action.micro).second, "micro batch {} runs forward twice", action.micro);
        micro_in_slot[action.slot] = action.micro;
        break;
      case Act::backward: {
        const auto held = micro_in_slot.find(action.slot);
        TIMETRIAL_CHECK(held != micro_in_slot.end() && held->second == action.micro,
                        "backward of micro batch {} finds another in slot {}", action.micro, action.slot);
        micro_in_slot.erase(held);
        done.insert(action.micro);
        break;
      }
      case Act::update:
        TIMETRIAL_CHECK(i + 1 == schedule.size(), "the update is not the last action");
        break;
    }
  }
  TIMETRIAL_CHECK(static_cast<int>(done.size()) == micro_batches && *done.rbegin() == micro_batches - 1,
                  "{} of {} micro batches ran", done.size(), micro_batches);
  TIMETRIAL_CHECK(schedule.back().act == Act::update, "the step has no update");
}

}  // namespace timetrial
