// The variables that environment.cpp places a rank by.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/launch/rank_processes.h"

#include <fmt/core.h>

#include "timetrial/launch/worker_process.h"

namespace timetrial::launch {

namespace {

using Variables = std::vector<std::pair<std::string, std::string>>;

// `rank` and `local` as texts, because a shell loop has a variable there.
Variables variables_of(const ProcessStart& start, const std::string& rank) {
  const std::string size = std::to_string(start.ranks);
  return {{"TIMETRIAL_RANK", rank},
          {"TIMETRIAL_SIZE", size},
          {"TIMETRIAL_LOCAL_RANK", rank},
          {"TIMETRIAL_LOCAL_SIZE", size},
          {"TIMETRIAL_RENDEZVOUS", fmt::format("127.0.0.1:{}", start.port)},
          {"TIMETRIAL_RUN_ID", start.run_id}};
}

}  // namespace

std::string rank_log_path(const std::string& folder, int rank) {
  return fmt::format("{}/ranks/rank_{}.log", folder, rank);
}

std::vector<Program> rank_programs(const ProcessStart& start) {
  std::vector<Program> programs;
  for (int rank = 0; rank < start.ranks; ++rank)
    programs.push_back({.name = fmt::format("rank {}", rank),
                        .arguments = start.worker,
                        .variables = variables_of(start, std::to_string(rank)),
                        .output = rank == 0 ? "" : rank_log_path(start.folder, rank)});
  return programs;
}

std::string text_of(const ProcessStart& start) {
  std::string text = fmt::format("for rank in $(seq 0 {}); do ", start.ranks - 1);
  for (const auto& [name, value] : variables_of(start, "$rank"))
    text += fmt::format("{}={} ", name, value == "$rank" ? value : shell_line({value}));
  return text + shell_line(start.worker) + " & done; wait";
}

}  // namespace timetrial::launch
