// Reading the user's config file, with one care more than JSON demands: a key given twice is an error.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "timetrial/base/json.h"

namespace timetrial {

// Reads and parses a config file. Throws UserError naming the file for one that cannot be read or is not JSON, and
// ConfigError with the JSON path for a key that one object holds twice.
Json read_config_file(const std::string& path);

// The same for text; `origin` stands for the file's name in errors.
Json parse_config_text(std::string_view text, const std::string& origin);

// "configs/small/gpt_oss_20b.json" -> "gpt_oss_20b": the `name` of parse_run_config.
std::string config_name(const std::string& path);

}  // namespace timetrial
