// Every key, and the names that give the other keys their values.
// SPDX-License-Identifier: Apache-2.0
#include "apps/keys_command.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "timetrial/base/json.h"
#include "timetrial/config/names_help.h"
#include "timetrial/config/run_config.h"

namespace timetrial {

// Beside the worker, whose workloads carry the same files.
namespace embedded {
extern const std::string_view gpt_oss_20b_benchmark, llama31_405b_benchmark, deepseekv3_671b_benchmark, null_benchmark;
}  // namespace embedded

namespace apps {

void add_keys_command(CLI::App& app) {
  app.add_subcommand("keys", "every config key: type, range, default, meaning; workloads, variants, forms")
      ->callback([] {
        fmt::print(
            "A key without [default ...] has the value that the workload's variant and form give it (`timetrial plan "
            "CONFIG --json` prints them all); where they give none, the config must.\n\n{}",
            config_help());
        for (const std::string_view text : {embedded::gpt_oss_20b_benchmark, embedded::llama31_405b_benchmark,
                                            embedded::deepseekv3_671b_benchmark, embedded::null_benchmark})
          fmt::print("\n{}", names_help(parse_json(text, "benchmark.json")));
      });
}

}  // namespace apps
}  // namespace timetrial
