// Hosts before training: each one's first rank looks, all hear, rank 0 tells.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "apps/compute_device.h"
#include "apps/preflight.h"
#include "apps/ranks.h"
#include "timetrial/base/error.h"
#include "timetrial/base/identity.h"
#include "timetrial/data/indexed_tokens.h"

namespace timetrial::apps {

namespace {

using launch::Finding;
using launch::HostNeeds;
using launch::Level;

void add_gpu(Device device, launch::HostFacts& facts) {
  if (device.kind == DeviceKind::cpu) return;
  const ComputeDevice gpu = look_at(device);
  if (!gpu.sensors) return;
  const DeviceState state = gpu.sensors->state();
  facts.gpus.push_back(
      {.name = device.text(), .processes = state.processes.value_or(0), .throttled_by = state.throttled_by});
}

std::string text_of(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings)
    if (finding.level != Level::fine) text += (finding.level == Level::error ? 'E' : 'W') + finding.text + '\n';
  return text;
}

// Distinct lines of everybody, in rank order.
std::vector<std::string> lines_of(const std::vector<std::string>& texts, char level) {
  std::vector<std::string> found;
  std::set<std::string> known;
  for (const std::string& text : texts) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
      if (line.front() == level && known.insert(line).second) found.push_back(line.substr(1));
  }
  return found;
}

// Of the checkpoint at the end, in the types that output.checkpoint_type has.
uint64_t weights_bytes(const RunConfig& config) {
  const std::string& type = config.output.checkpoint_type;
  const uint64_t size = type == "fp64" ? 8 : type == "fp32" ? 4 : 2;
  return static_cast<uint64_t>(count(config.model).total) * size;
}

}  // namespace

HostNeeds host_needs(const RunConfig& config, const Hosts& hosts) {
  HostNeeds needs{.ranks = config.parallel.world_size(),
                  .local_ranks = hosts.processes_here,
                  .gpus = config.device.kind == DeviceKind::cuda,
                  .several_hosts = hosts.several,
                  .serves = hosts.serves,
                  .folder = config.output.folder,
                  .checkpoint = config.output.checkpoint,
                  .checkpoint_bytes = weights_bytes(config),
                  .data_files = {}};
  std::vector<std::string> prefixes = config.data.train;
  prefixes.push_back(config.data.validation);
  for (const std::string& prefix : prefixes)
    for (const std::string& path : {idx_path_of(prefix), bin_path_of(prefix)}) needs.data_files.push_back(path);
  return needs;
}

std::vector<Finding> look_before_start(const HostNeeds& needs, const std::vector<Device>& devices) {
  launch::HostFacts facts = launch::look_at_host(needs);
  for (const Device device : devices) add_gpu(device, facts);
  return judge_host(facts, needs);
}

int add_host(const RunConfig& config, const std::vector<std::string>& refusals, Json& plan, std::string& text) {
  const int world = config.parallel.world_size(), here = std::min(config.cluster.ranks_per_host, world);
  std::vector<Device> devices;
  for (int i = 0; i < here && config.device.kind == DeviceKind::cuda && i < device_count(DeviceKind::cuda); ++i)
    devices.push_back({.kind = DeviceKind::cuda, .index = i});
  int errors = 0;
  text += "This host\n";
  plan["host_findings"] = Json::array();
  std::vector<Finding> findings = look_before_start(
      host_needs(config, {.processes_here = here, .several = world > here, .serves = world > 1}), devices);
  for (const std::string& line : refusals) findings.push_back({.level = Level::error, .text = line});
  for (const Finding& finding : findings) {
    text += fmt::format("  {:<9}{}\n", name_of(finding.level), finding.text);
    plan["host_findings"].push_back({{"level", name_of(finding.level)}, {"text", finding.text}});
    errors += finding.level == Level::error ? 1 : 0;
  }
  return errors;
}

std::vector<std::string> check_hosts(const RunConfig& config, const Environment& environment,
                                     comm::Bootstrap& bootstrap, Device device) {
  const std::string host = host_name();
  const std::vector<std::string> all = bootstrap.all_gather(host);
  const bool processes = environment.rank && environment.rank->size > 1;
  HostNeeds needs = host_needs(
      config, {.processes_here = processes ? bootstrap.local_size() : 1,
               .several = std::any_of(all.begin(), all.end(), [&](const std::string& other) { return other != host; }),
               .serves = processes && all.front() == host});
  // On one host the data layer says the same of data, and more.
  if (!needs.several_hosts) needs.data_files.clear();
  std::vector<Finding> mine = look_before_start(needs, {device});
  if (bootstrap.local_rank() != 0)  // of the host itself its first rank tells
    std::erase_if(mine, [](const Finding& finding) { return finding.text.find(" cuda:") == std::string::npos; });
  const std::vector<std::string> texts = bootstrap.all_gather(text_of(mine));
  const std::vector<std::string> errors = lines_of(texts, 'E'), warnings = lines_of(texts, 'W');
  if (bootstrap.rank() == 0) {
    for (const std::string& line : warnings) std::fputs(fmt::format("warning: {}\n", line).c_str(), stderr);
    for (size_t i = 0; i + 1 < errors.size(); ++i)
      std::fputs(fmt::format("timetrial: {}\n", errors[i]).c_str(), stderr);
  }
  if (!errors.empty()) throw SharedRefusal(errors.back());
  return warnings;
}

}  // namespace timetrial::apps
