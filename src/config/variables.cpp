// Numbers in variables, where rank 0 waits, and what Slurm says of the job.
// SPDX-License-Identifier: Apache-2.0
#include "config/variables.h"

#include <cctype>
#include <charconv>

#include "timetrial/base/error.h"
#include "timetrial/base/json.h"

namespace timetrial {

namespace config {

namespace {

// Below the ports that Linux hands out by itself (from 32768).
constexpr int kFirstPort = 20000, kPorts = 12000;

// The same on every rank that knows the same name; two jobs on one host hardly ever meet, and when they do the
// rendezvous refuses the stranger by its run id.
int port_of(const std::string& name) {
  return kFirstPort + static_cast<int>(std::stoull(hash_text(name).substr(0, 8), nullptr, 16) % kPorts);
}

Address parse_address(const char* variable, const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0)
    throw UserError(fmt::format("environment variable {}=\"{}\" is not host:port", variable, text));
  return {.host = text.substr(0, colon), .port = number_of(variable, text.substr(colon + 1))};
}

Address checked(Address address) {
  if (address.port < 1 || address.port > 65535)
    throw UserError(
        fmt::format("the rendezvous {}:{} has no port between 1 and 65535; mend TIMETRIAL_RENDEZVOUS or "
                    "MASTER_PORT",
                    address.host, address.port));
  return address;
}

}  // namespace

int number_of(const std::string& variable, const std::string& text) {
  int number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc() || stop != end || number < 0) {
    throw UserError(
        fmt::format("environment variable {}=\"{}\" is not a whole number from 0; unset it or start the "
                    "program through its launcher",
                    variable, text));
  }
  return number;
}

std::optional<int> look_up_number(const LookUp& look_up, const std::string& variable) {
  const std::optional<std::string> text = look_up(variable);
  if (!text) return std::nullopt;
  return number_of(variable, *text);
}

std::optional<Address> find_rendezvous(const LookUp& look_up, const std::optional<RankFacts>& rank) {
  if (const auto ours = look_up("TIMETRIAL_RENDEZVOUS")) return checked(parse_address("TIMETRIAL_RENDEZVOUS", *ours));
  const std::optional<std::string> host = look_up("MASTER_ADDR");
  const std::optional<int> port = look_up_number(look_up, "MASTER_PORT");
  if (host && port) return checked({.host = *host, .port = *port});
  if (!rank || rank->size == 1) return std::nullopt;
  const std::string id = find_run_id(look_up, rank);
  if (id.empty()) return std::nullopt;
  if (host) return Address{.host = *host, .port = port_of(id)};
  if (rank->launcher == "Slurm") {
    std::optional<std::string> nodes = look_up("SLURM_STEP_NODELIST");
    if (!nodes) nodes = look_up("SLURM_JOB_NODELIST");
    if (nodes) return Address{.host = first_host(*nodes), .port = port_of(id)};
  }
  if (rank->local_size == rank->size) return Address{.host = "127.0.0.1", .port = port_of(id)};
  return std::nullopt;
}

std::string find_run_id(const LookUp& look_up, const std::optional<RankFacts>& rank) {
  if (const auto ours = look_up("TIMETRIAL_RUN_ID")) return *ours;
  if (!rank) return "";
  if (rank->launcher == "Slurm") {
    const auto job = look_up("SLURM_JOB_ID"), step = look_up("SLURM_STEP_ID");
    if (job && step) return fmt::format("slurm {}.{}", *job, *step);
  }
  for (const char* variable : {"PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "PMI_JOBID"}) {
    if (const auto name = look_up(variable)) return fmt::format("{} {}", variable, *name);
  }
  return "";
}

std::optional<SlurmAllocation> find_slurm(const LookUp& look_up) {
  const std::optional<std::string> job = look_up("SLURM_JOB_ID");
  const std::optional<std::string> nodes = look_up("SLURM_JOB_NODELIST");
  if (!job || !nodes) return std::nullopt;
  return SlurmAllocation{.job = *job,
                         .nodes = *nodes,
                         .node_count = look_up_number(look_up, "SLURM_JOB_NUM_NODES").value_or(1),
                         .tasks = look_up_number(look_up, "SLURM_NTASKS").value_or(0)};
}

}  // namespace config

std::string first_host(const std::string& slurm_nodes) {
  const auto refuse = [&] {
    throw UserError(fmt::format("\"{}\" is no list of hosts as Slurm writes it (node[01-04],other)", slurm_nodes));
  };
  const size_t end = slurm_nodes.find_first_of(",[");
  std::string host = slurm_nodes.substr(0, end);
  if (end != std::string::npos && slurm_nodes[end] == '[') {
    const size_t close = slurm_nodes.find(']', end);
    if (close == std::string::npos) refuse();
    const std::string range = slurm_nodes.substr(end + 1, close - end - 1);
    const std::string digits = range.substr(0, range.find_first_of(",-"));
    if (digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos) refuse();
    host += digits;
    const size_t tail = slurm_nodes.find_first_of(",[", close + 1);
    host += slurm_nodes.substr(close + 1, tail == std::string::npos ? tail : tail - close - 1);
  }
  if (host.empty()) refuse();
  return host;
}

int tasks_on_node(const std::string& slurm_tasks_per_node, int node) {
  constexpr const char* kVariable = "SLURM_STEP_TASKS_PER_NODE";
  int first = 0;
  for (size_t begin = 0; begin <= slurm_tasks_per_node.size();) {
    const size_t comma = std::min(slurm_tasks_per_node.find(',', begin), slurm_tasks_per_node.size());
    const std::string part = slurm_tasks_per_node.substr(begin, comma - begin);
    const size_t times = part.find("(x");
    int nodes = 1;
    if (times != std::string::npos) {
      if (part.back() != ')') break;
      nodes = config::number_of(kVariable, part.substr(times + 2, part.size() - times - 3));
    }
    const int tasks = config::number_of(kVariable, part.substr(0, times));
    if (node < first + nodes) return tasks;
    first += nodes;
    begin = comma + 1;
  }
  throw UserError(fmt::format("{}={} has no node {}", kVariable, slurm_tasks_per_node, node));
}

}  // namespace timetrial
