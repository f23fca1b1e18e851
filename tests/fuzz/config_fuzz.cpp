// Config files: text, and after a NUL byte one override a line. Whatever is accepted must survive its own effective
// form. SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"
#include "timetrial/config/config_file.h"
#include "timetrial/config/run_config.h"

using namespace timetrial;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Json benchmark = read_json_file(TIMETRIAL_SOURCE_DIR "/workloads/gpt_oss_20b/benchmark.json");
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(input.find('\0'), input.size());
  std::string_view rest = input.substr(std::min(end + 1, input.size()));
  fuzz::one_line_errors_only([&] {
    const Json user = parse_config_text(input.substr(0, end), "config.json");
    Overrides overrides;
    while (!rest.empty()) {
      const size_t stop = std::min(rest.find('\n'), rest.size());
      overrides.push_back(split_override(std::string(rest.substr(0, stop))));
      rest.remove_prefix(std::min(stop + 1, rest.size()));
    }
    if (workload_of(user, overrides) != "gpt_oss_20b") return;
    const RunConfig run = parse_run_config(user, benchmark, "config", overrides);
    const Json effective = effective_json(run);
    const RunConfig again = parse_run_config(parse_config_text(effective.dump(), "effective"), benchmark, "config", {});
    TIMETRIAL_CHECK(again == run, "the effective form of a config is another config: {}", effective.dump());
    TIMETRIAL_CHECK(config_hash(again) == config_hash(run), "and has another hash");
  });
  return 0;
}
