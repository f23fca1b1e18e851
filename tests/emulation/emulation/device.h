// EmulatedDevices: streams whose work waits until somebody asks for it, events, and memory that the host cannot touch.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "emulation/block.h"
#include "emulation/counts.h"
#include "emulation/memory.h"

namespace timetrial::emulation {

// Work in order. It is done when a synchronisation or an event asks for it, never earlier, so that what is missing one
// sees old data.
struct StreamState {
  struct Piece {
    std::function<bool()> ready;  // false: it waits for somebody who has yet to come; asked again. Empty: always ready
    std::function<void()> run;    // on the device's memory; may be empty
  };
  int device = 0;
  std::deque<Piece> queue;
  uint64_t queued = 0, done = 0;  // pieces of work since the stream was made
  bool busy = false;              // in the piece in front
  bool dropped = false;           // destroyed; goes when its work is done
};

// The work up to which an event reaches; none before it is recorded.
struct EventState {
  int device = 0;
  std::shared_ptr<StreamState> stream;
  uint64_t until = 0;
};

// The devices of the process. All calls may come from any thread; they take turns.
class EmulatedDevice {
 public:
  static EmulatedDevice& get();

  // Runs `call` alone, unless a device has failed before, with a context on the thread's device. What it throws becomes
  // the lasting error.
  cudaError_t guarded(const std::function<cudaError_t()>& call);

  std::shared_ptr<StreamState> stream(cudaStream_t handle);
  cudaStream_t make_stream();
  void drop_stream(cudaStream_t handle);
  void queue(cudaStream_t handle, StreamState::Piece piece);
  void queue(cudaStream_t handle, std::function<void()> work) { queue(handle, {{}, std::move(work)}); }
  // Does the work of a stream up to a number of pieces, and of other streams what that waits for. False when that waits
  // for somebody who has yet to come.
  bool work(StreamState& stream, uint64_t until);
  // The same of all streams; true when anything was done.
  bool work_on_everything();
  // Waits until that work is done, letting other threads call meanwhile.
  cudaError_t finish(const std::shared_ptr<StreamState>& stream, uint64_t until);
  cudaError_t finish_everything_of(int device);

  void launch(const LaunchShape& shape, const void* function, std::function<void()> thread);
  void allow_shared(const void* function, size_t bytes) { allowed_shared_[function] = bytes; }

  int devices() const { return devices_; }
  void set_devices(int devices) { devices_ = devices; }
  void make_context(int device) { contexts_.at(static_cast<size_t>(device)) = true; }
  bool has_context(int device) const { return contexts_.at(static_cast<size_t>(device)); }
  void forget_contexts() { contexts_ = {}; }

  BlockRunner& block() { return block_; }
  DeviceMemory& memory() { return memory_; }
  Counts& counts() { return counts_; }
  cudaError_t take_last_error();
  const std::string& failure() const { return failure_; }
  // What waits for others has come nearer, by more than new work.
  void notify() { changed_.notify_all(); }

 private:
  std::recursive_mutex mutex_;
  std::condition_variable_any changed_;  // something was queued, or a group ended
  std::map<cudaStream_t, std::shared_ptr<StreamState>> streams_;
  std::array<std::shared_ptr<StreamState>, kMostDevices> legacy_;
  std::array<bool, kMostDevices> contexts_ = {};
  std::map<const void*, size_t> allowed_shared_;
  DeviceMemory memory_;
  BlockRunner block_;
  Counts counts_;
  int devices_ = 1;
  uint64_t pieces_ = 0;  // of work done, on all streams
  std::string failure_;  // lasting; empty while all is well
};

// The calling thread's device.
int& current_device();

}  // namespace timetrial::emulation
