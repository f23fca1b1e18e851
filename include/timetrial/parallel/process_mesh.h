// ProcessMesh: the parallel plan on real ranks: one communicator for each group that a rank belongs to.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "timetrial/comm/communicator.h"
#include "timetrial/config/parallel_plan.h"
#include "timetrial/parallel/parameters.h"

namespace timetrial {

// Belongs to one rank. Communicators are made in the constructor, all ranks together.
class ProcessMesh {
 public:
  ProcessMesh();  // one rank
  // Throws Error unless the world has as many ranks as the plan.
  ProcessMesh(const ParallelPlan& plan, std::unique_ptr<comm::Communicator> world);

  const ParallelPlan& plan() const { return plan_; }
  int rank() const { return world_->rank(); }
  bool alone() const { return world_->size() == 1; }
  // Position among the ranks that read different sequences, and their number (data).
  int data_rank() const { return place_.data; }
  int data_size() const { return plan_.data; }

  comm::Communicator& world() { return *world_; }
  // The ranks that hold the same parameters of this kind and sum their gradients.
  comm::Communicator& reducing(ReduceGroup group);
  void set_deadline(double seconds);  // of every group
  // The call that this rank is in, in whichever group, else the world's last one. Thread-safe.
  comm::Position position() const;

 private:
  ParallelPlan plan_;
  Coordinates place_;
  std::unique_ptr<comm::Communicator> world_, dense_, expert_;
};

}  // namespace timetrial
