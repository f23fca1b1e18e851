// RankWatch: what this rank does at the moment, told to whoever watches it: phase and step as the trainer reports them,
// the collective as the mesh has it. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>

#include "timetrial/comm/bootstrap.h"
#include "timetrial/parallel/process_mesh.h"
#include "timetrial/train/reporter.h"

namespace timetrial::apps {

// Stands before another reporter. Mesh and bootstrap outlive it; when it goes, the bootstrap keeps what it last knew,
// so that a rank that ends by an exception can still say where it was.
class RankWatch final : public Reporter {
 public:
  RankWatch(comm::Bootstrap& bootstrap, const ProcessMesh& mesh, std::unique_ptr<Reporter> next);
  ~RankWatch() override;

  void stage(const char* what) override;
  void step(const StepReport& report) override;
  void evaluation(const EvaluationReport& report) override { next_->evaluation(report); }

 private:
  comm::Activity activity() const;

  comm::Bootstrap& bootstrap_;
  const ProcessMesh& mesh_;
  std::unique_ptr<Reporter> next_;
  mutable std::mutex mutex_;
  comm::Activity activity_;
};

}  // namespace timetrial::apps
