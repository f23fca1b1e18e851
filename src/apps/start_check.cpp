// Facts of this process, compared with everybody's.
// SPDX-License-Identifier: Apache-2.0
#include "apps/start_check.h"

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/compute_device.h"
#include "apps/ranks.h"
#include "timetrial/base/identity.h"
#include "timetrial/comm/mpi.h"
#include "timetrial/comm/nccl.h"
#include "timetrial/data/file_identity.h"
#include "timetrial/data/indexed_tokens.h"
#include "timetrial/launch/same_start.h"

namespace timetrial::apps {

namespace {

constexpr double kClocksApart = 1.0;  // seconds

launch::RankStart facts_of(const RunConfig& config, const comm::Bootstrap& bootstrap) {
  launch::RankStart start{.host = host_name(), .facts = {}};
  const auto add = [&](const std::string& what, const std::string& value) { start.facts.push_back({what, value}); };
  add("program", identity_of_file("/proc/self/exe").hash);
  add("configuration", config_hash(config));
  add("seed", std::to_string(config.train.seed));
  add("MPI library", comm::mpi_version());
  add("NCCL", comm::nccl_version());
  const Device device{.kind = config.device.kind, .index = device_index(bootstrap.local_rank())};
  const bool gpu = device.kind == DeviceKind::cuda && device.index < device_count(device.kind);
  const DeviceIdentity identity = gpu ? look_at(device).identity : DeviceIdentity{};
  add("GPU", identity.name);
  add("GPU driver", identity.driver);
  std::vector<std::string> prefixes = config.data.train;
  if (!config.data.validation.empty()) prefixes.push_back(config.data.validation);
  for (const std::string& prefix : prefixes) {
    const std::string idx = idx_path_of(prefix), bin = bin_path_of(prefix);
    const bool looks = bootstrap.local_rank() == 0;
    start.facts.push_back({.what = idx, .value = looks ? identity_of_file(idx).hash : "", .of_host = true});
    start.facts.push_back(
        {.what = bin, .value = looks ? fmt::format("{} bytes", size_of_file(bin)) : "", .of_host = true});
  }
  return start;
}

std::string advice(const std::string& what) {
  if (what == "program") return "copy one build to every host";
  if (what == "configuration" || what == "seed") return "start all ranks with the same file and the same --set";
  if (what == "MPI library" || what == "NCCL") return "give every host the same libraries";
  if (what == "GPU") return "a run uses one kind of GPU";
  if (what == "GPU driver") return "give every host the same driver";
  return "give every host the same data, for instance from a shared file system";
}

std::vector<launch::RankStart> everybody(const launch::RankStart& mine, comm::Bootstrap& bootstrap) {
  std::vector<launch::RankStart> all;
  for (const std::string& text : bootstrap.all_gather(text_of(mine))) all.push_back(launch::start_from(text));
  return all;
}

// Configurations are long, so only the two that are compared travel.
std::string configuration_text(const RunConfig& config, const launch::StartDifference& difference,
                               comm::Bootstrap& bootstrap) {
  const int one = difference.odd.front(), other = difference.rest.front();
  const bool named = bootstrap.rank() == one || bootstrap.rank() == other;
  const std::vector<std::string> all = bootstrap.all_gather(named ? effective_json(config).dump() : "");
  const auto of = [&](int rank) { return Json::parse(all[static_cast<size_t>(rank)]); };
  const launch::KeyDifference key = launch::key_difference(of(one), of(other));
  if (key.key.empty()) return "";
  return fmt::format(": {} is {} there and {} here", key.key, key.one, key.other);
}

}  // namespace

void check_same_start(const RunConfig& config, comm::Bootstrap& bootstrap) {
  // Every rank gets what every rank says: facts, which are long, are told only when there is a difference to name.
  const launch::RankStart mine = facts_of(config, bootstrap);
  if (start_difference(everybody(brief(mine), bootstrap)).what.empty()) return;
  const std::vector<launch::RankStart> all = everybody(mine, bootstrap);
  const launch::StartDifference difference = start_difference(all);
  TIMETRIAL_CHECK(!difference.what.empty(), "hashes of starts differ, and no fact of them does");
  std::string line = text_of(difference, all);
  if (difference.what == "configuration") line += configuration_text(config, difference, bootstrap);
  throw SharedRefusal(line + "; " + advice(difference.what));
}

std::optional<std::string> compare_clocks(comm::Bootstrap& bootstrap) {
  const std::vector<std::string> all =
      bootstrap.all_gather(fmt::format("{} {}", bootstrap.clock_offset(), host_name()));
  double worst = 0;
  std::string host;
  for (const std::string& text : all) {
    const size_t space = text.find(' ');
    const double ahead = std::stod(text.substr(0, space));
    if (std::abs(ahead) <= std::abs(worst)) continue;
    worst = ahead;
    host = text.substr(space + 1);
  }
  if (std::abs(worst) < kClocksApart) return std::nullopt;
  const std::string line = fmt::format(
      "the clock of host {} is {:.1f} s {} that of rank 0's host; their logs do not fit together until "
      "both follow one time server",
      host, std::abs(worst), worst > 0 ? "behind" : "ahead of");
  if (bootstrap.rank() == 0) fmt::print(stderr, "warning: {}\n", line);
  return line;
}

}  // namespace timetrial::apps
