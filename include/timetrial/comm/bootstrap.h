// Bootstrap: who this rank is, how small host messages reach all ranks, and which communicator they get.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "timetrial/comm/communicator.h"

namespace timetrial::comm {

// What a rank does at the moment, for the line that names who is to blame.
struct Activity {
  std::string phase;    // "warm-up on synthetic data", "training"; empty: starting
  int64_t step = -1;    // steps done; -1: none yet
  Position collective;  // the call that the rank is in, or made last
};

// The seam between how ranks were started (threads, mpirun, a launcher of ours) and what runs on them. One per rank.
class Bootstrap {
 public:
  virtual ~Bootstrap() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual int local_rank() const = 0;  // on this host
  virtual int local_size() const = 0;

  // Collective: everybody's text in rank order. For few, small, untimed messages: ids, hashes, a seed.
  virtual std::vector<std::string> all_gather(const std::string& mine) = 0;
  // Collective: the communicator over all ranks for memory of this device.
  virtual std::unique_ptr<Communicator> make_world(Device device, const Deadlines& deadlines) = 0;
  // Tells the other ranks, as far as they can be reached, that this one ends and why; their collectives then throw.
  virtual void abort(const std::string& why) noexcept = 0;

  // What to tell once this rank or another has ended the run, and why; on any thread, at once when that is so already.
  virtual void when_over(std::function<void(const std::string&)>) {}

  // Who watches this rank asks so what it does, on a thread of its own. Nobody does where ranks are threads.
  virtual void watch(std::function<Activity()>) {}
  // Seconds that rank 0's clock is ahead of this host's. Collective where ranks are processes.
  virtual double clock_offset() { return 0; }
};

// One rank: nothing to reach.
std::unique_ptr<Bootstrap> make_single_bootstrap();

}  // namespace timetrial::comm
