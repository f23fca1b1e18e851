// Lines through spdlog into a file of the rank's own.
// SPDX-License-Identifier: Apache-2.0
#include "apps/rank_log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <utility>

#include "apps/exit_code.h"
#include "timetrial/base/clock.h"
#include "timetrial/base/error.h"
#include "timetrial/base/identity.h"
#include "timetrial/comm/controlled_bootstrap.h"
#include "timetrial/comm/mpi.h"
#include "timetrial/comm/nccl.h"
#include "timetrial/device/sensors.h"
#include "timetrial/launch/binding.h"
#include "timetrial/launch/rank_processes.h"

namespace timetrial::apps {

RankLog::RankLog(const comm::Bootstrap& bootstrap)
    : rank_(bootstrap.rank()), started_(monotonic_seconds()), phase_started_(started_) {
  say(fmt::format("rank {} of {}, {} of {} on host {}, process {}, {}", bootstrap.rank(), bootstrap.size(),
                  bootstrap.local_rank(), bootstrap.local_size(), host_name(), getpid(), launch::own_place()));
  std::string libraries;
  for (const auto& [name, version] : {std::pair<const char*, std::string>{"MPI", comm::mpi_version()},
                                      {"NCCL", comm::nccl_version()},
                                      {"CUDA", cuda_runtime_version()}})
    libraries += fmt::format("{}{} {}", libraries.empty() ? "" : ", ", name, version.empty() ? "none" : version);
  say("libraries: " + libraries);
  phase("preparing");
}

RankLog::~RankLog() = default;

void RankLog::open(const std::string& folder) {
  if (file_) return;
  const std::filesystem::path path = launch::rank_log_path(folder, rank_);
  try {
    std::filesystem::create_directories(path.parent_path());
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_st>(path.string());
    sink->set_pattern("%Y-%m-%d %H:%M:%S.%e %l: %v");
    file_ = std::make_shared<spdlog::logger>("rank", std::move(sink));
  } catch (const std::exception& error) {
    std::fputs(fmt::format("warning: rank {} on host {} has no log of its own ({})\n", rank_, host_name(), error.what())
                   .c_str(),
               stderr);
    waiting_.clear();
    return;
  }
  file_->flush_on(spdlog::level::info);
  file_->set_error_handler([](const std::string&) {});  // a full disk: the run's own log says so
  for (const Line& line : waiting_) write(line);
  waiting_.clear();
}

void RankLog::write(const Line& line) {
  file_->log(line.time, {}, line.warning ? spdlog::level::warn : spdlog::level::info, line.text);
}

void RankLog::add(bool warning, const std::string& text) {
  const Line line{.time = std::chrono::system_clock::now(), .warning = warning, .text = text};
  file_ ? write(line) : waiting_.push_back(line);
}

void RankLog::say(const std::string& text) { add(false, text); }
void RankLog::warn(const std::string& text) { add(true, text); }

void RankLog::phase(const std::string& what) {
  const double now = monotonic_seconds();
  say(phase_.empty() ? what : fmt::format("{} ({} took {:.3f} s)", what, phase_, now - phase_started_));
  phase_ = what;
  phase_started_ = now;
}

void RankLog::end(const std::string& verdict) {
  const double now = monotonic_seconds();
  say(fmt::format("end: {} ({} took {:.3f} s, all {:.3f} s)", verdict, phase_, now - phase_started_, now - started_));
}

std::function<int(comm::Bootstrap&)> logged(std::function<int(comm::Bootstrap&, RankLog&)> rank) {
  return [rank = std::move(rank)](comm::Bootstrap& bootstrap) {
    RankLog own(bootstrap);
    try {
      const int code = rank(bootstrap, own);
      own.end(fmt::format("exit code {}", code));
      return code;
    } catch (const std::exception& error) {
      // What ended the run may be another rank's doing, which the control plane knows by now.
      auto* watched = dynamic_cast<comm::ControlledBootstrap*>(&bootstrap);
      const std::string verdict = watched != nullptr ? watched->control().verdict() : "";
      if (!verdict.empty()) own.say("the run is over: " + one_line(verdict));
      own.end(one_line(error.what()));
      throw;
    }
  };
}

void LoggedReports::stage(const char* what) {
  log_.phase(what);
  next_->stage(what);
}

void LoggedReports::evaluation(const EvaluationReport& report) {
  log_.say(fmt::format("evaluation after {} samples: loss {:.6f}, {:.1f} s after the start of the clock",
                       report.samples, report.loss, report.seconds));
  next_->evaluation(report);
}

}  // namespace timetrial::apps
