// The lane's thread, and its stream with points that others wait for.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/parallel/comm_lane.h"

#include "timetrial/base/clock.h"
#include "timetrial/base/error.h"
#include "timetrial/base/identity.h"

namespace timetrial {

CommLane::CommLane(Device device, size_t held) : stream_(device) {
  TIMETRIAL_CHECK(held > 0, "a lane that holds no ticket");
  if (device.kind == DeviceKind::cuda) {
    for (size_t i = 0; i < held; ++i) points_.emplace_back(device);
    return;
  }
  thread_ = std::thread([this, rank = thread_rank()] {
    set_thread_rank(rank);
    run();
  });
}

CommLane::~CommLane() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

CommLane::Ticket CommLane::give(Work work, StreamRef compute) {
  const Ticket ticket{given_++};
  if (!thread_.joinable()) {
    StreamPoint& point = points_[static_cast<size_t>(ticket.number) % points_.size()];
    point.set(compute);
    point.hold(stream_.ref());
    work(stream_.ref());
    point.set(stream_.ref());
    return ticket;
  }
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
  }
  changed_.notify_all();
  return ticket;
}

void CommLane::await(Ticket ticket, StreamRef compute) {
  TIMETRIAL_CHECK(ticket.number < given_, "ticket {} of {}", ticket.number, given_);
  if (ticket.number < 0) return;
  if (!thread_.joinable()) return points_[static_cast<size_t>(ticket.number) % points_.size()].hold(compute);
  std::unique_lock lock(mutex_);
  if (done_ <= ticket.number && !error_) {
    const double started = monotonic_seconds();
    changed_.wait(lock, [&] { return done_ > ticket.number || error_; });
    times_.waited += monotonic_seconds() - started;
  }
  if (error_) std::rethrow_exception(error_);
}

bool CommLane::idle() {
  const std::lock_guard lock(mutex_);
  if (!points_.empty()) return given_ == 0;
  return error_ || done_ == given_;
}

CommLane::Times CommLane::times() {
  const std::lock_guard lock(mutex_);
  return times_;
}

void CommLane::run() {
  for (;;) {
    Work work;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || (!queue_.empty() && !error_); });
      if (stop_) return;
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    const double started = monotonic_seconds();
    try {
      work(stream_.ref());
    } catch (...) {
      const std::lock_guard lock(mutex_);
      error_ = std::current_exception();
    }
    {
      const std::lock_guard lock(mutex_);
      times_.busy += monotonic_seconds() - started;
      if (!error_) ++done_;
    }
    changed_.notify_all();
  }
}

}  // namespace timetrial
