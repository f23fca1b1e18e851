// Reports on their way, noted.
// SPDX-License-Identifier: Apache-2.0
#include "apps/rank_watch.h"

#include <utility>

namespace timetrial::apps {

RankWatch::RankWatch(comm::Bootstrap& bootstrap, const ProcessMesh& mesh, std::unique_ptr<Reporter> next)
    : bootstrap_(bootstrap), mesh_(mesh), next_(std::move(next)) {
  bootstrap_.watch([this] { return activity(); });
}

RankWatch::~RankWatch() {
  bootstrap_.watch([last = activity()] { return last; });
}

void RankWatch::stage(const char* what) {
  {
    const std::lock_guard lock(mutex_);
    activity_.phase = what;
  }
  next_->stage(what);
}

void RankWatch::step(const StepReport& report) {
  {
    const std::lock_guard lock(mutex_);
    activity_.step = report.step;
  }
  next_->step(report);
}

comm::Activity RankWatch::activity() const {
  const std::lock_guard lock(mutex_);
  comm::Activity now = activity_;
  now.collective = mesh_.position();
  return now;
}

}  // namespace timetrial::apps
