// An allow list by prefix, and a deny list for what may hide behind a prefix.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/launch/recorded_environment.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

#include "launch/beginnings.h"

namespace timetrial::launch {

namespace {

constexpr std::string_view kRecorded[] = {"NCCL_", "OMPI_", "UCX_",  "SLURM_",    "OMP_",
                                          "GOMP_", "DNNL_", "CUDA_", "TIMETRIAL_"};
constexpr std::string_view kSecret[] = {"KEY",  "TOKEN",      "JWT", "SECRET",       "PASSWORD",  "PASSWD",
                                        "AUTH", "CREDENTIAL", "URI", "PRECONDITION", "PASSPHRASE"};
// What launchers tell each process alone.
constexpr std::string_view kPlaces[] = {"TIMETRIAL_RANK",
                                        "TIMETRIAL_LOCAL_",
                                        "OMPI_COMM_WORLD_RANK",
                                        "OMPI_COMM_WORLD_LOCAL_",
                                        "OMPI_COMM_WORLD_NODE_RANK",
                                        "OMPI_FILE_LOCATION",
                                        "OMPI_MCA_ess_",
                                        "OMPI_MCA_orte_",
                                        "OMPI_MCA_pmix",
                                        "SLURM_PROCID",
                                        "SLURM_LOCALID",
                                        "SLURM_NODEID",
                                        "SLURM_TASK_PID",
                                        "SLURM_GTIDS",
                                        "SLURM_TOPOLOGY_ADDR"};

// Word by word, so that OMP_MONKEY is no key.
bool is_secret(std::string_view name) {
  std::string word;
  for (size_t i = 0; i <= name.size(); ++i) {
    const char c = i < name.size() ? name[i] : '_';
    if (c != '_') {
      word += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      continue;
    }
    const std::string_view singular = word.ends_with('S') ? std::string_view(word).substr(0, word.size() - 1) : word;
    if (std::find(std::begin(kSecret), std::end(kSecret), singular) != std::end(kSecret) ||
        std::find(std::begin(kSecret), std::end(kSecret), word) != std::end(kSecret))
      return true;
    word.clear();
  }
  return false;
}

}  // namespace

Variables recorded_variables(const char* const* environment) {
  Variables found;
  for (; *environment != nullptr; ++environment) {
    const std::string_view entry = *environment;
    const size_t equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = entry.substr(0, equals);
    if (begins_with_one_of(name, kRecorded) && !is_secret(name)) found.emplace(name, entry.substr(equals + 1));
  }
  return found;
}

Json differences(const Variables& first, const Variables& mine) {
  Json found = Json::object();
  for (const auto& [name, value] : mine) {
    const auto other = first.find(name);
    if (!begins_with_one_of(name, kPlaces) && (other == first.end() || other->second != value)) found[name] = value;
  }
  for (const auto& [name, value] : first)
    if (!begins_with_one_of(name, kPlaces) && !mine.contains(name)) found[name] = nullptr;
  return found;
}

Json environment_record(const Variables& first, const std::vector<Json>& differences_by_rank) {
  Json others = Json::object();
  for (size_t rank = 1; rank < differences_by_rank.size(); ++rank)
    if (!differences_by_rank[rank].empty()) others[std::to_string(rank)] = differences_by_rank[rank];
  return {{"schema", "timetrial.environment/1"},
          {"ranks", differences_by_rank.size()},
          {"rank_0", first},
          {"differences", others}};
}

}  // namespace timetrial::launch
