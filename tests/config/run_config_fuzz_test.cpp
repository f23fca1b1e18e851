// Random changes of a valid config: each is refused in one line, or changes what it names and nothing beside it.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "config/config_fixture.h"

namespace timetrial {
namespace {

Json random_value(std::mt19937& random) {
  static const std::vector<Json> kValues = {0,
                                            1,
                                            2,
                                            3,
                                            4,
                                            5,
                                            8,
                                            16,
                                            32,
                                            33,
                                            64,
                                            96,
                                            100,
                                            1024,
                                            -1,
                                            0.5,
                                            1e-9,
                                            0.25,
                                            1e6,
                                            1e300,
                                            1.5,
                                            true,
                                            false,
                                            nullptr,
                                            "",
                                            "cpu",
                                            "cuda",
                                            "f64",
                                            "yarn",
                                            "swiglu",
                                            "x",
                                            "full",
                                            "reference",
                                            "custom",
                                            Json::array(),
                                            Json::object(),
                                            {{"of", "train.seed"}},
                                            9007199254740993,
                                            18446744073709551615u,
                                            "1",
                                            -0.0,
                                            4294967295};
  return kValues[random() % kValues.size()];
}

// The fields that may move with `key`, because they follow from it or because it replaces the defaults.
bool may_follow(const std::string& key, const std::string& moved) {
  static const std::map<std::string, std::set<std::string>> kFollowers = {
      {"/train/learning_rate", {"/train/end_learning_rate"}},
      {"/train/warmup_steps", {"/train/decay_steps"}},
      {"/train/max_steps", {"/train/decay_steps"}}};
  if (key == "/variant" || key == "/form") return true;
  if (moved == "/variant" || moved == "/form") return true;  // names tell that something moved
  const auto followers = kFollowers.find(key);
  return followers != kFollowers.end() && followers->second.contains(moved);
}

TEST(RunConfigFuzz, ChangesWhatItNamesAlone) {
  std::mt19937 random(7);
  const RunConfig base = parse(user_config());
  const Json before = effective_json(base).flatten();
  std::vector<std::string> pointers;
  for (const auto& [pointer, value] : before.items()) pointers.push_back(pointer);

  int accepted = 0, refused = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::string& key = pointers[random() % pointers.size()];
    const Json value = random_value(random);
    Json user = user_config();
    user[Json::json_pointer(key)] = value;
    try {
      const RunConfig run = parse(user);
      ++accepted;
      const Json after = effective_json(run).flatten();
      ASSERT_EQ(after.size(), before.size());
      for (const auto& [pointer, now] : after.items()) {
        if (pointer == key) {
          const bool named = pointer == "/variant" || pointer == "/form";
          EXPECT_TRUE(named || now == value || (value == Json::array() && now.is_null()))
              << key << " = " << value << " became " << now;
        } else if (!may_follow(key, pointer)) {
          EXPECT_EQ(now, before[pointer]) << key << " = " << value << " changed " << pointer;
        }
      }
      EXPECT_EQ(parse(effective_json(run)), run) << key << " = " << value;
    } catch (const ConfigError& error) {
      ++refused;
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    }
  }
  EXPECT_GT(accepted, 200);
  EXPECT_GT(refused, 200);
}

TEST(RunConfigFuzz, OverridesSayWhatTheFileSays) {
  std::mt19937 random(11);
  const Json before = effective_json(parse(user_config())).flatten();
  std::vector<std::string> pointers;
  for (const auto& [pointer, value] : before.items()) pointers.push_back(pointer);
  for (int i = 0; i < 2000; ++i) {
    const std::string& pointer = pointers[random() % pointers.size()];
    const Json value = random_value(random);
    const bool is_text = before[pointer].is_string();
    if (is_text && !value.is_string()) continue;  // an override of a text field is always text
    if (!is_text && value.is_string()) continue;  // and of another field is JSON
    Json user = user_config();
    user[Json::json_pointer(pointer)] = value;
    std::string key = pointer.substr(1);
    std::replace(key.begin(), key.end(), '/', '.');
    std::string by_file, by_override;
    by_file = config_error([&] { by_file = effective_json(parse(user)).dump(); }) + by_file;
    const std::string text = is_text ? value.get<std::string>() : value.dump();
    by_override = config_error([&] { by_override = effective_json(parse_with({{key, text}})).dump(); }) + by_override;
    EXPECT_EQ(by_override, by_file) << key << " = " << value;
  }
}

TEST(RunConfigFuzz, UnknownAndMissingKeysAreRefused) {
  std::mt19937 random(13);
  const Json full = effective_json(parse(user_config()));
  for (int i = 0; i < 500; ++i) {
    Json user = full;
    std::string name;
    for (size_t length = 1 + random() % 12; name.size() < length;) name += static_cast<char>('!' + random() % 90);
    Json& section = random() % 2 == 0 ? user : user["train"];
    if (section.contains(name)) continue;
    section[name] = random_value(random);
    EXPECT_THROW(parse(user), ConfigError) << name;
  }
}

}  // namespace
}  // namespace timetrial
