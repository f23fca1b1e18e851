// ControlPlane: the TCP connections between all ranks of a run that stay open from the start to the end: exchanges of
// small texts, heartbeats, and who is to blame when it ends. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "timetrial/comm/bootstrap.h"
#include "timetrial/config/environment.h"

namespace timetrial::comm {

struct ControlSettings {
  RankFacts rank;
  Address address;             // where rank 0 listens; a name, or an IPv4 or IPv6 address
  std::string run_id;          // processes with another one are turned away
  int listener = -1;           // on rank 0: a socket that listens already and becomes the control plane's; -1: bind one
  double init_deadline = 600;  // seconds until all ranks must have come
  double silence = 30;         // seconds without a heartbeat after which a rank counts as stopped
  double pulse = 0.5;          // seconds between heartbeats
  std::function<double()> wall_clock;  // seconds since 1970; empty: the system's
};

// Why a rank ends the run: by its own failure; because it has seen another one's (calls that differ, a library's
// error); or because its patience is over, when everybody's position tells more than it can.
enum class Blame { own, seen, late };

// What the control plane itself took from this process, for comparison with a step.
struct ControlCost {
  int64_t pulses = 0;
  double cpu_seconds = 0;  // of its threads
  double round_trip = 0;   // seconds of the quickest heartbeat to rank 0 and back; 0: none yet
};

// One per rank. Rank 0 also serves; every rank, rank 0 too, is a client. Threads of its own do the talking, so it works
// while a collective or a device hangs. Members may be called from any thread, collective ones from one at a time.
class ControlPlane {
 public:
  // Collective: returns when all ranks are connected. Throws CommError when rank 0 cannot be reached within
  // init_deadline, or, init_deadline after rank 0's start, naming the ranks that did not come; or two that claim one
  // rank, or sizes that differ; UserError when rank 0 cannot listen there.
  explicit ControlPlane(ControlSettings settings);
  ~ControlPlane();
  ControlPlane(const ControlPlane&) = delete;
  ControlPlane& operator=(const ControlPlane&) = delete;

  int rank() const;
  int size() const;
  const std::vector<std::string>& hosts() const;  // of every rank
  int local_rank() const;                         // counted from the hosts, so it holds whatever the launcher said
  int local_size() const;

  // Collective: everybody's bytes in rank order. `purpose` is named when somebody does not come within `deadline`
  // seconds, or comes with another purpose; all ranks then throw CommError. So they do when all texts together are more
  // than a message holds, 64 MiB; a text that is too long by itself throws Error. Rank 0 sends every text to every
  // rank, so the bytes that leave its host grow with the square of the ranks: docs/launching.md.
  std::vector<std::string> all_gather(const std::string& mine, const std::string& purpose, double deadline);
  void barrier(const std::string& purpose, double deadline) { all_gather("", purpose, deadline); }

  // Seconds that rank 0's clock is ahead of this host's, from the quickest of a few exchanges.
  double clock_offset();

  // Asked before each heartbeat, on a thread of the control plane.
  void watch(std::function<Activity()> activity);
  // Called once, on a thread of the control plane, when the run cannot go on: one line says who is to blame. At once
  // when that is so already.
  void when_over(std::function<void(const std::string&)> over);
  // The line of when_over; empty while all is well.
  std::string verdict() const;
  // Whether that line is this rank's own finding that rank 0 is gone or silent.
  bool lost_rank_zero() const;

  // Ends the run on all ranks. Unless it is this rank's own fault, rank 0 waits a moment for a better reason, such as a
  // connection that closes. Returns when rank 0 has decided, or after a few seconds, with the verdict.
  std::string fail(const std::string& why, Blame blame) noexcept;
  // Returns when rank 0 has gone, or after `seconds`. A rank that ended first would have its launcher end the one that
  // still has to say why.
  void outlast_rank_zero(double seconds) noexcept;
  // From now on this rank may go without being missed.
  void leave() noexcept;

  ControlCost cost() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace timetrial::comm
