// What the config tests share: the benchmark's data, a small user config, and errors as text.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "timetrial/base/error.h"
#include "timetrial/config/run_config.h"

namespace timetrial {

inline const Json& benchmark() {
  static const Json parsed = read_json_file(TIMETRIAL_SOURCE_DIR "/workloads/gpt_oss_20b/benchmark.json");
  return parsed;
}

inline const Json& benchmark_of(const std::string& workload) {
  static const std::map<std::string, Json> parsed = [] {
    std::map<std::string, Json> all;
    for (const char* name : {"gpt_oss_20b", "llama31_405b", "deepseekv3_671b"})
      all[name] = read_json_file(fmt::format("{}/workloads/{}/benchmark.json", TIMETRIAL_SOURCE_DIR, name));
    return all;
  }();
  return parsed.at(workload);
}

// What a user normally writes. The 1m variant: its numbers are not tuned, so tests may name them.
inline Json user_config(const std::string& variant = "1m") {
  return {{"workload", "gpt_oss_20b"},
          {"variant", variant},
          {"data", {{"train", "data/t"}, {"validation", "data/v"}}},
          {"output", {{"folder", "runs/x"}}}};
}

// What a user writes for a closed run of any workload: the files and the weights that its rules ask for.
inline Json user_config_of(const Json& rules, const std::string& variant) {
  Json user = user_config(variant);
  user["workload"] = rules["name"];
  if (rules["mlperf"].value("training_files", 1) == 2) user["data"]["train"] = Json::array({"data/en_6", "data/en_7"});
  if (rules["mlperf"].value("starts_from", "seed") == "checkpoint") user["data"]["checkpoint"] = "weights";
  return user;
}

inline RunConfig parse(const Json& user, const Overrides& overrides = {}) {
  return parse_run_config(user, benchmark(), "x", overrides);
}

inline RunConfig parse_with(const Overrides& overrides) { return parse(user_config(), overrides); }

// The message of the ConfigError (and nothing else) that `action` throws.
template <class Action>
std::string config_error(Action&& action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

inline std::string error_with(const Overrides& overrides) {
  return config_error([&] { parse_with(overrides); });
}

}  // namespace timetrial
