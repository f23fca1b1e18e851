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
  return fmt::format("{} of {} (call {})", text, position.group, position.sequence);
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
  return {{"phase", activity.phase},          {"step", activity.step},
          {"call", position.sequence},        {"kind", static_cast<int>(position.kind)},
          {"purpose", position.purpose},      {"group", position.group},
          {"inside", position.inside ? 1 : 0}};
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
                         .inside = whole(json, "inside", 0) != 0,
                         .group = word(json, "group")}};
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

namespace {

struct Camp {
  std::string what;
  std::vector<int> ranks;
};

// Ranks by what they do, of those that have made a call.
std::vector<Camp> camps_of(const std::vector<Member>& members) {
  std::vector<Camp> camps;
  for (const Member& member : members) {
    const Position& position = member.activity.collective;
    if (position.sequence < 0) continue;  // nothing is known of what it waits for
    const std::string what =
        position.inside ? "waited in " + text_of_call(position) : "did not wait: " + text_of(member.activity);
    const auto same = std::find_if(camps.begin(), camps.end(), [&](const Camp& c) { return c.what == what; });
    if (same == camps.end()) {
      camps.push_back({what, {member.rank}});
    } else {
      same->ranks.push_back(member.rank);
    }
  }
  return camps;
}

}  // namespace

std::string others_text(const std::vector<Member>& others) {
  std::string text;
  for (const Camp& camp : camps_of(others)) text += fmt::format("; {} {}", ranks_text(camp.ranks), camp.what);
  return text;
}

std::vector<int> out_of_step(const std::vector<Member>& all) {
  std::vector<Camp> camps = camps_of(all);
  const auto most = std::max_element(camps.begin(), camps.end(),
                                     [](const Camp& a, const Camp& b) { return a.ranks.size() < b.ranks.size(); });
  if (most == camps.end() || 2 * most->ranks.size() <= all.size()) return {};
  std::vector<int> odd;
  for (const Member& member : all)
    if (std::find(most->ranks.begin(), most->ranks.end(), member.rank) == most->ranks.end()) odd.push_back(member.rank);
  return odd;
}

}  // namespace timetrial::comm
