// What the config tests share: the benchmark's data, a small user config, and errors as text.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

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

// What a user normally writes. The 1m variant: its numbers are not tuned, so tests may name them.
inline Json user_config(const std::string& variant = "1m") {
  return {{"workload", "gpt_oss_20b"},
          {"variant", variant},
          {"data", {{"train", "data/t"}, {"validation", "data/v"}}},
          {"output", {{"folder", "runs/x"}}}};
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
