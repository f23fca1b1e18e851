// CommLane: where a rank's collectives run beside its computation: a thread on the CPU, a stream on CUDA.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "timetrial/device/device.h"

namespace timetrial {

// Work runs in the order in which it was given, so that every rank makes the same calls in the same order whatever its
// computation does in between. One thread gives and awaits. An exception of the work is thrown by the next await.
class CommLane {
 public:
  using Work = std::function<void(StreamRef)>;  // gets the lane's stream
  struct Ticket {
    int64_t number = -1;  // -1: of nothing
  };

  // `held`: the latest tickets that end each at a point of their own; an older one ends where a later one does, so
  // awaiting it waits for more.
  CommLane(Device device, size_t held);
  ~CommLane();  // waits for the work under way; what is still queued is dropped
  CommLane(const CommLane&) = delete;
  CommLane& operator=(const CommLane&) = delete;

  // `work` runs after everything queued on `compute` so far.
  Ticket give(Work work, StreamRef compute);
  // What is queued on `compute` from now on comes after the ticket's work. On the CPU: waits for it.
  void await(Ticket ticket, StreamRef compute);
  // Nothing queued, nothing under way. On CUDA the host does not know that: only a lane that never had work is idle.
  bool idle();

  // Seconds since the lane was made. On CUDA the host knows neither, and both stay 0.
  struct Times {
    double busy = 0;    // in the work: moving data, and waiting for ranks that came later
    double waited = 0;  // of the computing thread, in await
  };
  Times times();

 private:
  void run();

  Stream stream_;
  int64_t given_ = 0;
  std::vector<StreamPoint> points_;  // CUDA: where the work of the latest tickets ends, in turn

  // The CPU's thread.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> queue_;
  int64_t done_ = 0;
  Times times_;
  bool stop_ = false;
  std::exception_ptr error_;
  std::thread thread_;  // last: starts when all the rest is there
};

}  // namespace timetrial
