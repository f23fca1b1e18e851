// A start from its line to its exit code.
// SPDX-License-Identifier: Apache-2.0
#include "apps/start_ranks.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <set>
#include <sstream>

#include "apps/exit_code.h"
#include "timetrial/base/error.h"
#include "timetrial/launch/rank_processes.h"
#include "timetrial/launch/worker_process.h"
#include "timetrial/mllog/close_log.h"

namespace timetrial::apps {

namespace {

// Beyond the deadline by which the control plane has ended every rank that still can.
constexpr double kMargin = 15;  // seconds

void say(const std::string& line) { std::fputs(fmt::format("timetrial: {}\n", one_line(line)).c_str(), stderr); }

// What other ranks than 0 said to the user: once each, and only of ranks that ended otherwise than rank 0, which said
// it too if it could.
void repeat(const std::vector<launch::Exit>& exits) {
  std::set<std::string> told;
  for (const launch::Exit& exit : exits) {
    if (exit.code == exits.front().code && exit.signal == exits.front().signal) continue;
    std::istringstream lines(exit.unplaced.empty() ? exit.said : exit.unplaced);
    for (std::string line; std::getline(lines, line);)
      if (told.insert(line).second) std::fputs((line + "\n").c_str(), stderr);
  }
}

void close_log(const std::string& log, const std::string& who) {
  try {
    if (mllog::close_aborted(log, fmt::format("closed by the launcher, not by rank 0: {}", who)) ==
        mllog::Closing::closed)
      say(fmt::format("rank 0 ended without closing its log; {} is closed as aborted", log));
  } catch (const std::exception& error) {
    say(fmt::format("the log stays open: {}", error.what()));
  }
}

// Ranks end with 0, 2 or 3, with 128 + a signal that asked them to, or with 1, which leaves a log. What else mpirun
// ends with is its own, and --quiet keeps it from saying why.
bool is_of_rank(int code, bool logged) {
  return code == kSuccess || code == kUserError || code == kClusterError || code == 128 + SIGHUP ||
         code == 128 + SIGINT || code == 128 + SIGTERM || logged;
}

int started_nothing(const launch::StartLine& start, int code) {
  say(
      fmt::format("mpirun ended with exit code {} before any rank had begun a log; this line says why: {} (where slots "
                  "are too few: --launcher-option=--oversubscribe, or a host file with more)",
                  code, launch::explaining_text_of(start)));
  return kClusterError;
}

}  // namespace

Answer ask_worker(std::vector<std::string> worker) {
  worker.push_back("--start-facts");
  const launch::Captured answer = launch::capture(worker);
  if (answer.code != kSuccess) return {.code = answer.code, .facts = {}};
  return {.code = kSuccess, .facts = start_facts_from(answer.output)};
}

int start_and_stay(const launch::StartLine& start, const StartFacts& facts) {
  const std::string log = facts.folder + "/result_0.txt";
  std::error_code ignored;
  const bool somebody_elses = std::filesystem::exists(log, ignored);  // the run will be refused
  launch::Supervision supervision;
  supervision.grace = facts.step_deadline + kMargin;
  std::optional<launch::ReservedPort> port;
  if (start.launcher == launch::Launcher::processes) {
    port.emplace();
    supervision.programs = launch::rank_programs({.worker = start.arguments,
                                                  .ranks = static_cast<int>(facts.ranks),
                                                  .port = port->number(),
                                                  .run_id = launch::new_run_id(),
                                                  .folder = facts.folder});
  } else {
    supervision.programs = {
        {.name = start.arguments.front(), .arguments = start.arguments, .variables = start.variables, .output = {}}};
    // mpirun hands SIGUSR1 on to every rank, which then ends after its step; on SIGTERM it kills them a second later.
    supervision.first_interrupt = SIGUSR1;
  }
  const launch::Endings endings = launch::supervise(supervision);
  repeat(endings.exits);
  if (!endings.deaths.empty()) say(endings.deaths);
  const bool logged = !somebody_elses && std::filesystem::exists(log, ignored);
  if (logged) close_log(log, endings.deaths.empty() ? fmt::format("exit code {}", endings.code()) : endings.deaths);
  if (start.launcher == launch::Launcher::mpirun && endings.interrupt == 0 && endings.deaths.empty() &&
      !is_of_rank(endings.code(), logged))
    return started_nothing(start, endings.code());
  return endings.code();
}

}  // namespace timetrial::apps
