// StartFacts: what a launcher must know of a run before its ranks exist.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "timetrial/config/run_config.h"

namespace timetrial {

struct StartFacts {
  DeviceKind device = DeviceKind::cpu;
  int64_t ranks = 1;          // of the whole plan
  std::string folder;         // output.folder
  double step_deadline = 30;  // seconds: cluster.step_deadline
  bool operator==(const StartFacts&) const = default;
};

StartFacts start_facts(const RunConfig& config);

// One line of JSON and back. The worker prints it, because only the worker knows a workload's defaults. Throws Error
// for text that is none.
std::string text_of(const StartFacts& facts);
StartFacts start_facts_from(const std::string& text);

// Whether a config file with these overrides asks for GPUs, which no workload's defaults do. Throws ConfigError as
// parse_run_config does for keys that are not there.
bool asks_for_gpus(const Json& user, const Overrides& overrides);

}  // namespace timetrial
