// Rank 0's variables go to all, so that only differences come back.
// SPDX-License-Identifier: Apache-2.0
#include "apps/environment_record.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "timetrial/base/error.h"
#include "timetrial/launch/recorded_environment.h"

namespace timetrial::apps {

Json gather_environment(comm::Bootstrap& bootstrap) {
  // Values are any bytes; what is no UTF-8 is shown with a replacement.
  const auto dump = [](const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); };
  const launch::Variables mine = launch::recorded_variables(environ);
  const bool first = bootstrap.rank() == 0;
  const auto of_first = Json::parse(bootstrap.all_gather(first ? dump(mine) : "").front()).get<launch::Variables>();
  const auto texts = bootstrap.all_gather(dump(launch::differences(of_first, Json::parse(dump(mine)))));
  if (!first) return nullptr;
  std::vector<Json> differences;
  for (const std::string& text : texts) differences.push_back(Json::parse(text));
  return launch::environment_record(of_first, differences);
}

std::string write_environment(const Json& record, const std::string& folder) {
  const std::string name = "environment.json", path = folder + "/" + name;
  errno = 0;
  std::ofstream file(path);
  file << record.dump(2) << '\n';
  file.close();
  if (!file)
    throw Error(fmt::format("{}: cannot be written ({}); free the disk or choose another output folder", path,
                            std::strerror(errno)));
  return name;
}

void set_nccl_output(const std::string& folder, int rank) {
  const std::string path = fmt::format("{}/ranks/rank_{}.nccl.log", folder, rank);
  std::filesystem::create_directories(folder + "/ranks");
  setenv("NCCL_DEBUG", "WARN", /*overwrite=*/0);
  setenv("NCCL_DEBUG_FILE", path.c_str(), /*overwrite=*/0);
}

}  // namespace timetrial::apps
