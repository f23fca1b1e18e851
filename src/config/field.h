// Field: one row of the table that drives parsing, checks, overrides, help, printing and logging at once.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "timetrial/config/run_config.h"
#include "values.h"

namespace timetrial::config {

struct Field {
  std::string key;                // dotted, as the user writes it
  std::string type;               // "whole number, 1 to 9", for the help text
  std::string meaning;            // for the help text
  bool is_text = false;           // an override of it arrives as it stands; of any other field as JSON
  std::optional<Json> otherwise;  // default of the table itself; none: benchmark.json has it, or the user must
  std::function<Json(const RunConfig&)> get;
  std::function<void(RunConfig&, const Json&, const std::string& path)> set;  // throws ConfigError with the path
};

// All fields, in the order of help and print.
std::vector<Field> make_fields();

std::vector<std::string> keys_of(const std::vector<Field>& fields);
std::string path_of(const std::string& key);  // "train.seed" -> "/train/seed"

}  // namespace timetrial::config
