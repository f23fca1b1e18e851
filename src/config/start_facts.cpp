// A launcher's view of a run.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/start_facts.h"

#include <nlohmann/json.hpp>

#include "config/layers.h"
#include "timetrial/base/error.h"

namespace timetrial {

StartFacts start_facts(const RunConfig& config) {
  return {.device = config.device.kind,
          .ranks = config.parallel.world_size(),
          .folder = config.output.folder,
          .step_deadline = config.cluster.step_deadline};
}

std::string text_of(const StartFacts& facts) {
  return Json{{"cuda", facts.device == DeviceKind::cuda},
              {"ranks", facts.ranks},
              {"folder", facts.folder},
              {"step_deadline", facts.step_deadline}}
      .dump();
}

StartFacts start_facts_from(const std::string& text) {
  try {
    const Json facts = Json::parse(text);
    return {.device = facts.at("cuda").get<bool>() ? DeviceKind::cuda : DeviceKind::cpu,
            .ranks = facts.at("ranks").get<int64_t>(),
            .folder = facts.at("folder").get<std::string>(),
            .step_deadline = facts.at("step_deadline").get<double>()};
  } catch (const Json::exception& error) {
    throw Error(fmt::format("\"{}\" tells nothing of a run ({}); are timetrial and timetrial-worker of one build?",
                            text, error.what()));
  }
}

bool asks_for_gpus(const Json& user, const Overrides& overrides) {
  const config::Values asked = config::asked_values(config::make_fields(), user, overrides);
  const auto found = asked.find("device.kind");
  return found != asked.end() && found->second.json == "cuda";
}

}  // namespace timetrial
