// The system description beside a result: systems/<system>.json.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "timetrial/base/json.h"

namespace timetrial::results {

// The fields of a record that come from the system description, and what is odd about it. Numbers written as text
// count; a text that is no number, and a field that is missing, leave null and are named.
struct SystemFacts {
  Json fields = Json::object();
  std::vector<std::string> problems;
};

SystemFacts system_facts(const Json& description);

// The same from a file; one that is missing or no JSON is a problem, never an exception.
SystemFacts read_system_facts(const std::string& path);

}  // namespace timetrial::results
