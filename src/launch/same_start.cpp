// Ranks by what they say.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/launch/same_start.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "timetrial/base/error.h"
#include "timetrial/comm/communicator.h"

namespace timetrial::launch {

namespace {

constexpr size_t kMostHosts = 4;  // named one by one

std::string value_or_nothing(const Json* value) { return value != nullptr ? value->dump() : "nothing"; }

std::string hosts_text(const std::vector<int>& ranks, const std::vector<RankStart>& all) {
  std::set<std::string> hosts;
  for (const int rank : ranks) hosts.insert(all[static_cast<size_t>(rank)].host);
  if (hosts.size() > kMostHosts) return fmt::format("{} hosts, the first {}", hosts.size(), *hosts.begin());
  std::string text = hosts.size() == 1 ? "host " : "hosts ";
  for (const std::string& host : hosts) text += (host == *hosts.begin() ? "" : ", ") + host;
  return text;
}

// Flat: "train.global_batch" -> value. Arrays count as one value.
void flatten(const Json& json, const std::string& path, std::map<std::string, const Json*>& into) {
  if (!json.is_object()) {
    into[path] = &json;
    return;
  }
  for (const auto& [key, value] : json.items()) flatten(value, path.empty() ? key : path + "." + key, into);
}

}  // namespace

std::string text_of(const RankStart& start) {
  Json facts = Json::array();
  for (const StartFact& fact : start.facts) facts.push_back({fact.what, fact.value});
  return Json{{"host", start.host}, {"facts", facts}}.dump();
}

RankStart start_from(const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  TIMETRIAL_CHECK(json.is_object() && json.contains("host") && json.contains("facts"), "\"{}\" is no start", text);
  RankStart start{.host = json["host"].get<std::string>(), .facts = {}};
  for (const Json& fact : json["facts"])
    start.facts.push_back({.what = fact.at(0).get<std::string>(), .value = fact.at(1).get<std::string>()});
  return start;
}

RankStart brief(const RankStart& start) {
  std::string of_ranks, of_hosts;
  bool looks = false;
  for (const StartFact& fact : start.facts) {
    (fact.of_host ? of_hosts : of_ranks) += Json{fact.what, fact.value}.dump();
    looks = looks || (fact.of_host && !fact.value.empty());
  }
  return {.host = "", .facts = {{"ranks", hash_text(of_ranks)}, {"hosts", looks ? hash_text(of_hosts) : ""}}};
}

StartDifference start_difference(const std::vector<RankStart>& all) {
  for (size_t number = 0; number < all.front().facts.size(); ++number) {
    const std::string& what = all.front().facts[number].what;
    std::map<std::string, std::vector<int>> camps;
    for (size_t rank = 0; rank < all.size(); ++rank) {
      TIMETRIAL_CHECK(number < all[rank].facts.size() && all[rank].facts[number].what == what,
                      "rank {} compares something else than rank 0 in place {} (\"{}\")", rank, number, what);
      const std::string& value = all[rank].facts[number].value;
      if (!value.empty()) camps[value].push_back(static_cast<int>(rank));
    }
    if (camps.size() < 2) continue;
    std::vector<std::vector<int>> sorted;
    for (auto& [value, ranks] : camps) sorted.push_back(std::move(ranks));
    std::sort(sorted.begin(), sorted.end(), [](const std::vector<int>& a, const std::vector<int>& b) {
      return a.size() != b.size() ? a.size() > b.size() : a.front() < b.front();
    });
    return {.what = what, .odd = sorted.back(), .rest = sorted.front()};
  }
  return {};
}

std::string text_of(const StartDifference& difference, const std::vector<RankStart>& all) {
  const auto value_of = [&](int rank) {
    for (const StartFact& fact : all[static_cast<size_t>(rank)].facts)
      if (fact.what == difference.what) return fact.value;
    return std::string();
  };
  return fmt::format("{} on {} {} another {} ({}) than {} ({})", comm::ranks_text(difference.odd),
                     hosts_text(difference.odd, all), difference.odd.size() == 1 ? "has" : "have", difference.what,
                     value_of(difference.odd.front()), comm::ranks_text(difference.rest),
                     value_of(difference.rest.front()));
}

KeyDifference key_difference(const Json& one, const Json& other) {
  std::map<std::string, const Json*> mine, theirs;
  flatten(one, "", mine);
  flatten(other, "", theirs);
  std::set<std::string> keys;
  for (const auto& [key, value] : mine) keys.insert(key);
  for (const auto& [key, value] : theirs) keys.insert(key);
  for (const std::string& key : keys) {
    const Json* a = mine.contains(key) ? mine[key] : nullptr;
    const Json* b = theirs.contains(key) ? theirs[key] : nullptr;
    if (a == nullptr || b == nullptr || *a != *b)
      return {.key = key, .one = value_or_nothing(a), .other = value_or_nothing(b)};
  }
  return {};
}

}  // namespace timetrial::launch
