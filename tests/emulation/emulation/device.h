// EmulatedDevice: streams whose work waits until somebody asks for it, events, and memory that the host cannot touch.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "emulation/block.h"
#include "emulation/counts.h"
#include "emulation/memory.h"

namespace timetrial::emulation {

// Work in order. It is done when a synchronisation or an event asks for it, never earlier, so that what is missing one
// sees old data.
struct StreamState {
  std::deque<std::function<void()>> queue;
  uint64_t queued = 0, done = 0;  // pieces of work since the stream was made
};

// The work up to which an event reaches; none before it is recorded.
struct EventState {
  std::shared_ptr<StreamState> stream;
  uint64_t until = 0;
};

// The one device of the process. All calls may come from any thread; they take turns.
class EmulatedDevice {
 public:
  static EmulatedDevice& get();

  // Runs `call` alone, unless the device has failed before. What it throws becomes the device's lasting error.
  cudaError_t guarded(const std::function<cudaError_t()>& call);

  std::shared_ptr<StreamState>& stream(cudaStream_t handle);
  cudaStream_t make_stream();
  void drop_stream(cudaStream_t handle);
  void queue(cudaStream_t handle, std::function<void()> work);
  // Does the work of a stream up to a number of pieces, and of other streams what that waits for.
  void work(StreamState& stream, uint64_t until);
  void work_off(StreamState& stream) { work(stream, stream.queued); }
  void work_off_everything();

  void launch(const LaunchShape& shape, const void* function, std::function<void()> thread);
  void allow_shared(const void* function, size_t bytes) { allowed_shared_[function] = bytes; }

  BlockRunner& block() { return block_; }
  DeviceMemory& memory() { return memory_; }
  Counts& counts() { return counts_; }
  cudaError_t take_last_error();
  const std::string& failure() const { return failure_; }

 private:
  std::recursive_mutex mutex_;
  std::map<cudaStream_t, std::shared_ptr<StreamState>> streams_ = {{nullptr, std::make_shared<StreamState>()}};
  std::map<const void*, size_t> allowed_shared_;
  DeviceMemory memory_;
  BlockRunner block_;
  Counts counts_;
  cudaError_t last_error_ = cudaSuccess;
  std::string failure_;  // lasting; empty while all is well
};

}  // namespace timetrial::emulation
