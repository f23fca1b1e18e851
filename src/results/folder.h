// The files of a benchmark folder that scoring looks at, and the bypass that stands beside them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace timetrial::results {

// Names of the files result_*.txt, sorted. Throws DataError when `folder` is no folder or cannot be listed.
std::vector<std::string> result_files(const std::string& folder);

enum class BypassFile { none, honoured, overlooked };

// Does a file package_checker_params in the folder, or in the system's folder above it, ask for `bypass` ("rcp-bypass",
// "seed-checker-bypass")? The official package checker honours only a last line without a line end (rules digest 5.2);
// others are `overlooked`.
BypassFile bypass_file(const std::string& folder, std::string_view bypass);

// The factor in the folder's scaling.json. Nothing when there is no such file; throws DataError for one without a
// factor.
std::optional<double> scaling_in(const std::string& folder);

}  // namespace timetrial::results
