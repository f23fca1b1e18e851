// Groups of a rank, split off the world.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/parallel/process_mesh.h"

namespace timetrial {

ProcessMesh::ProcessMesh() : ProcessMesh(ParallelPlan(), comm::make_single("world")) {}

ProcessMesh::ProcessMesh(const ParallelPlan& plan, std::unique_ptr<comm::Communicator> world)
    : plan_(plan), world_(std::move(world)) {
  TIMETRIAL_CHECK(world_->size() == plan.world_size(), "{} ranks for a plan of {}", world_->size(), plan.world_size());
  place_ = coordinates_of(plan, rank());
  dense_ = world_->split(colour_of(plan, Axis::data, rank()), "data");
  expert_ = world_->split(expert_data_colour(plan, rank()), "expert data");
}

comm::Communicator& ProcessMesh::reducing(ReduceGroup group) {
  switch (group) {
    case ReduceGroup::dense:
      return *dense_;
    case ReduceGroup::expert:
      return *expert_;
  }
  throw Error("unknown reduce group");
}

void ProcessMesh::set_deadline(double seconds) {
  for (comm::Communicator* group : {world_.get(), dense_.get(), expert_.get()}) group->set_deadline(seconds);
}

comm::Position ProcessMesh::position() const {
  for (const comm::Communicator* group : {dense_.get(), expert_.get()})
    if (comm::Position position = group->position(); position.inside) return position;
  return world_->position();
}

}  // namespace timetrial
