// Lists and reads what lies beside the logs.
// SPDX-License-Identifier: Apache-2.0
#include "results/folder.h"

#include <fnmatch.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "results/file_text.h"
#include "results/json_value.h"
#include "timetrial/base/error.h"

namespace timetrial::results {

namespace fs = std::filesystem;

namespace {

BypassFile bypass_in(const fs::path& folder, std::string_view bypass) {
  const fs::path path = folder / "package_checker_params";
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return BypassFile::none;
  const FileText file(path.string());
  BypassFile found = BypassFile::none;
  std::string_view rest = file.view();
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    const bool last = end == std::string_view::npos;
    if (rest.substr(0, end) == bypass) found = last ? BypassFile::honoured : BypassFile::overlooked;
    if (last) break;
    rest.remove_prefix(end + 1);
  }
  return found;
}

}  // namespace

std::vector<std::string> result_files(const std::string& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error))
    throw DataError(folder, error ? fmt::format("cannot be read ({})", error.message())
                                  : "is no folder; name the folder that holds result_0.txt and its fellows");
  std::vector<std::string> names;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    if (::fnmatch("result_*.txt", name.c_str(), 0) == 0) names.push_back(name);
  }
  if (error) throw DataError(folder, fmt::format("cannot be listed ({})", error.message()));
  std::sort(names.begin(), names.end());
  return names;
}

BypassFile bypass_file(const std::string& folder, std::string_view bypass) {
  const fs::path own = fs::path(folder).lexically_normal();
  // "a/b/" has an empty last part, whose parent would be the folder itself.
  const fs::path system = (own.has_filename() ? own : own.parent_path()).parent_path();
  return std::max(bypass_in(own, bypass), bypass_in(system.empty() ? "." : system, bypass),
                  [](BypassFile a, BypassFile b) {
                    const auto rank = [](BypassFile file) {
                      return file == BypassFile::honoured ? 2 : file == BypassFile::overlooked;
                    };
                    return rank(a) < rank(b);
                  });
}

std::optional<double> scaling_in(const std::string& folder) {
  const std::string path = folder + "/scaling.json";
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return std::nullopt;
  const Json document = read_json_file(path);
  const std::optional<double> factor = document.is_object() && document.contains("scaling_factor")
                                           ? number_of(document.at("scaling_factor"))
                                           : std::nullopt;
  if (!factor || *factor <= 0) throw DataError(path, "holds no \"scaling_factor\" above 0");
  return factor;
}

}  // namespace timetrial::results
