// RankLog: the file in which one rank says where it runs, on what, what it does when, and how it ended.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "timetrial/comm/bootstrap.h"
#include "timetrial/train/reporter.h"

namespace spdlog {
class logger;
}

namespace timetrial::apps {

// Lines wait until the run has a folder; a run that is refused before leaves none. One thread at a time.
class RankLog {
 public:
  // First lines: rank, host, process, the cores it keeps to.
  explicit RankLog(const comm::Bootstrap& bootstrap);
  ~RankLog();
  RankLog(const RankLog&) = delete;
  RankLog& operator=(const RankLog&) = delete;

  // FOLDER/ranks/rank_<n>.log, which several starts may share. A file that cannot be made is said once on stderr and
  // ends nothing.
  void open(const std::string& folder);
  void say(const std::string& text);
  void warn(const std::string& text);
  // What the rank does from now on; tells how long it did the last thing.
  void phase(const std::string& what);
  // The last line, with the seconds from the first.
  void end(const std::string& verdict);

 private:
  struct Line {
    std::chrono::system_clock::time_point time;
    bool warning;
    std::string text;
  };
  void add(bool warning, const std::string& text);
  void write(const Line& line);

  int rank_;
  double started_, phase_started_;
  std::string phase_;
  std::vector<Line> waiting_;
  std::shared_ptr<spdlog::logger> file_;
};

// A rank with its log, which gets the last word of it: its exit code, or what it threw.
std::function<int(comm::Bootstrap&)> logged(std::function<int(comm::Bootstrap&, RankLog&)> rank);

// Tells a rank's log of phases and evaluations, and passes everything on.
class LoggedReports final : public Reporter {
 public:
  LoggedReports(RankLog& log, std::unique_ptr<Reporter> next) : log_(log), next_(std::move(next)) {}
  void stage(const char* what) override;
  void step(const StepReport& report) override { next_->step(report); }
  void evaluation(const EvaluationReport& report) override;

 private:
  RankLog& log_;
  std::unique_ptr<Reporter> next_;
};

}  // namespace timetrial::apps
