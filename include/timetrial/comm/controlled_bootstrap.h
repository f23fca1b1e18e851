// ControlledBootstrap: ranks as processes that watch each other. Collectives go through what was there before (MPI, or
// NCCL alone); texts, heartbeats and the end of the run go through the control plane.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "timetrial/comm/bootstrap.h"
#include "timetrial/comm/control_plane.h"

namespace timetrial::comm {

class ControlledBootstrap final : public Bootstrap {
 public:
  // Collective. `inner` carries the address of rank 0 to the others, and makes the communicators; without it (none) the
  // environment must tell the address, and communicators are NCCL's. Throws UserError when neither is there, or when
  // `inner` knows another number of ranks than the launcher: then every process would run alone.
  ControlledBootstrap(std::unique_ptr<Bootstrap> inner, const Environment& environment, const Deadlines& deadlines);
  ~ControlledBootstrap() override;

  int rank() const override;
  int size() const override;
  int local_rank() const override;
  int local_size() const override;
  std::vector<std::string> all_gather(const std::string& mine) override;
  std::unique_ptr<Communicator> make_world(Device device, const Deadlines& deadlines) override;
  void abort(const std::string& why) noexcept override;
  void when_over(std::function<void(const std::string&)> over) override;
  void watch(std::function<Activity()> activity) override { control_->watch(std::move(activity)); }
  double clock_offset() override { return control_->clock_offset(); }

  // Ends the run on all ranks and returns the line that says who is to blame.
  std::string end(const std::string& why, Blame blame) noexcept;
  // Whether this rank is the one that prints that line: rank 0, or rank 1 when rank 0 is gone.
  bool speaks() const;
  // For ranks that do not: waits until that line is out, as far as can be told.
  void let_speak() noexcept;
  // This rank is done; it may go without being missed.
  void leave() noexcept;
  ControlPlane& control() { return *control_; }

 private:
  void tell(const std::string& why);

  std::unique_ptr<Bootstrap> inner_;
  Deadlines deadlines_;
  std::mutex mutex_;
  std::string over_;  // why; empty while all is well
  std::vector<std::function<void(const std::string&)>> listeners_;
  std::unique_ptr<ControlPlane> control_;
};

}  // namespace timetrial::comm
