// Remarks on where a log lies: the organisation's folder, the benchmark's folder (rules digest 5.1, 9).
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cctype>
#include <filesystem>

#include "mllog/check_record.h"
#include "mllog/remarks.h"

namespace timetrial::mllog {

namespace {

// Letters and digits in lower case: "Example_Works Inc." and "exampleworksinc" are one name.
std::string squeezed(const std::string& name) {
  std::string out;
  for (const char c : name)
    if (std::isalnum(static_cast<unsigned char>(c)))
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool same_name(const std::string& a, const std::string& b) {
  const std::string x = squeezed(a), y = squeezed(b);
  return !x.empty() && !y.empty() && (x.find(y) != std::string::npos || y.find(x) != std::string::npos);
}

}  // namespace

std::vector<Finding> folder_remarks(const std::string& path, const Record* organization, const Record* benchmark) {
  std::error_code unknown;
  const std::filesystem::path benchmark_folder =
      std::filesystem::absolute(path, unknown).lexically_normal().parent_path();
  const std::filesystem::path results = benchmark_folder.parent_path().parent_path();
  if (unknown || results.filename() != "results") return {};
  std::vector<Finding> out;
  const std::string folder_name = benchmark_folder.filename(), org_name = results.parent_path().filename();
  if (organization != nullptr && organization->value.is_string() && !org_name.empty() &&
      !same_name(org_name, organization->value.get<std::string>()))
    out.push_back(remark(organization->key, organization->line, "is the organisation whose folder the log lies in",
                         fmt::format("{} in the folder {}", excerpt(organization->value), org_name),
                         "log the submitting organisation's name"));
  if (benchmark != nullptr && benchmark->value.is_string() && folder_name != benchmark->value.get<std::string>())
    out.push_back(remark(benchmark->key, benchmark->line, "is the name of the folder that the log lies in",
                         fmt::format("{} in the folder {}", excerpt(benchmark->value), folder_name),
                         "name the folder after the benchmark: others are passed over when a submission is checked"));
  return out;
}

}  // namespace timetrial::mllog
