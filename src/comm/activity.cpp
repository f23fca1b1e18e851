// Sentences about ranks.
// SPDX-License-Identifier: Apache-2.0
#include "comm/activity.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace timetrial::comm {

namespace {

std::string text_of_call(const Position& position) {
  std::string text{name_of(position.kind)};
  if (!position.purpose.empty()) text += fmt::format(" \"{}\"", position.purpose);
  return fmt::format("{} (call {})", text, position.sequence);
}

int64_t whole(const Json& json, const char* key, int64_t otherwise) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number_integer() ? found->get<int64_t>() : otherwise;
}

std::string word(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

Json to_json(const Activity& activity) {
  const Position& position = activity.collective;
  return {{"phase", activity.phase},     {"step", activity.step},
          {"call", position.sequence},   {"kind", static_cast<int>(position.kind)},
          {"purpose", position.purpose}, {"inside", position.inside ? 1 : 0}};
}

Activity activity_from(const Json& json) {
  if (!json.is_object()) return {};
  const int64_t kind = whole(json, "kind", 0);
  if (kind < 0 || kind > static_cast<int64_t>(Collective::split)) return {};
  return {.phase = word(json, "phase"),
          .step = whole(json, "step", -1),
          .collective = {.sequence = whole(json, "call", -1),
                         .kind = static_cast<Collective>(kind),
                         .purpose = word(json, "purpose"),
                         .inside = whole(json, "inside", 0) != 0}};
}

std::string text_of(const Activity& activity) {
  std::string text = activity.phase.empty() ? "starting" : activity.phase;
  if (activity.step >= 0) text += fmt::format(", step {}", activity.step);
  if (activity.collective.sequence >= 0)
    text += fmt::format(", {} {}", activity.collective.inside ? "inside" : "after", text_of_call(activity.collective));
  return text;
}

std::string name_of(const Member& member) {
  return fmt::format("rank {} on host {} (pid {})", member.rank, member.host, member.pid);
}

std::string others_text(const std::vector<Member>& others) {
  struct Group {
    std::string what;
    std::vector<int> ranks;
  };
  std::vector<Group> groups;
  for (const Member& member : others) {
    const Position& position = member.activity.collective;
    if (position.sequence < 0) continue;  // nothing is known of what it waits for
    const std::string what =
        position.inside ? "waited in " + text_of_call(position) : "did not wait: " + text_of(member.activity);
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const Group& g) { return g.what == what; });
    if (same == groups.end()) {
      groups.push_back({what, {member.rank}});
    } else {
      same->ranks.push_back(member.rank);
    }
  }
  std::string text;
  for (const Group& group : groups) text += fmt::format("; {} {}", ranks_text(group.ranks), group.what);
  return text;
}

}  // namespace timetrial::comm
