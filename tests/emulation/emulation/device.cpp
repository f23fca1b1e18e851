// Streams and launches of the emulated device, and the places where kernels call back.
// SPDX-License-Identifier: Apache-2.0
#include "emulation/device.h"

#include <cstdio>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

namespace timetrial::emulation {

namespace {

// Runs all blocks, in an order that is another one from launch to launch.
void run_grid(BlockRunner& runner, const Grid& grid, uint64_t number) {
  const dim3& size = grid.shape.grid;
  const uint64_t blocks = uint64_t{size.x} * size.y * size.z;
  uint64_t step = number % 2 == 0 ? 1 : number * 7919 % blocks + 1;
  while (std::gcd(step, blocks) != 1) ++step;
  for (uint64_t i = 0; i < blocks; ++i) {
    const uint64_t at = (step * i + number) % blocks;
    runner.run(grid, {static_cast<unsigned>(at % size.x), static_cast<unsigned>(at / size.x % size.y),
                      static_cast<unsigned>(at / (uint64_t{size.x} * size.y))});
  }
}

bool fits(const LaunchShape& shape) {
  const dim3 &g = shape.grid, &b = shape.block;
  if (g.x == 0 || g.y == 0 || g.z == 0 || b.x == 0 || b.y == 0 || b.z == 0) return false;
  if (g.x > kMostBlocksX || g.y > kMostBlocksYZ || g.z > kMostBlocksYZ || b.z > kMostThreadsZ) return false;
  return uint64_t{b.x} * b.y * b.z <= kMostThreads;
}

}  // namespace

// Lives to the end of the process: destructors of others may still give memory back.
EmulatedDevice& EmulatedDevice::get() {
  static auto* const device = new EmulatedDevice;
  return *device;
}

namespace {

cudaError_t& last_error() {  // of the calling thread
  thread_local cudaError_t code = cudaSuccess;
  return code;
}

}  // namespace

int& current_device() {
  thread_local int device = 0;
  return device;
}

cudaError_t EmulatedDevice::guarded(const std::function<cudaError_t()>& call) {
  const std::lock_guard lock(mutex_);
  if (!failure_.empty()) return last_error() = cudaErrorLaunchFailure;
  make_context(current_device());
  cudaError_t code = cudaSuccess;
  try {
    code = call();
  } catch (const KernelError& error) {
    failure_ = error.what();
    std::fprintf(stderr, "emulated device: %s\n", failure_.c_str());
    code = cudaErrorLaunchFailure;
    changed_.notify_all();
  }
  if (code != cudaSuccess) last_error() = code;
  return code;
}

cudaError_t EmulatedDevice::take_last_error() {
  const std::lock_guard lock(mutex_);
  return std::exchange(last_error(), failure_.empty() ? cudaSuccess : cudaErrorLaunchFailure);
}

cudaStream_t EmulatedDevice::make_stream() {
  auto made = std::make_shared<StreamState>();
  made->device = current_device();
  cudaStream_t const handle = made.get();
  streams_.emplace(handle, std::move(made));
  return handle;
}

// Returns at once; what is queued is done all the same (CUDA Runtime API, cudaStreamDestroy).
void EmulatedDevice::drop_stream(cudaStream_t handle) {
  const std::shared_ptr<StreamState> going = stream(handle);
  going->dropped = true;
  if (work(*going, going->queued)) streams_.erase(handle);
}

std::shared_ptr<StreamState> EmulatedDevice::stream(cudaStream_t handle) {
  if (handle) return streams_.at(handle);
  auto& legacy = legacy_.at(static_cast<size_t>(current_device()));
  if (!legacy) {
    legacy = std::make_shared<StreamState>();
    legacy->device = current_device();
  }
  return legacy;
}

void EmulatedDevice::queue(cudaStream_t handle, StreamState::Piece piece) {
  const std::shared_ptr<StreamState> into = stream(handle);
  into->queue.push_back(std::move(piece));
  ++into->queued;
  changed_.notify_all();
}

bool EmulatedDevice::work(StreamState& stream, uint64_t until) {
  if (stream.done < until && stream.busy) return false;  // two streams that wait for each other
  std::optional<DeviceMemory::Open> open;                // opening is slow, and most questions find nothing to do
  for (; stream.done < until; ++stream.done, ++pieces_) {
    stream.busy = true;
    const StreamState::Piece& next = stream.queue.front();
    const bool ready = !next.ready || next.ready();
    if (ready && next.run) {
      if (!open) open.emplace(memory_);
      next.run();
    }
    stream.busy = false;
    if (!ready) return false;
    stream.queue.pop_front();
  }
  return true;
}

bool EmulatedDevice::work_on_everything() {
  const uint64_t before = pieces_;
  for (const auto& legacy : legacy_)
    if (legacy) work(*legacy, legacy->queued);
  for (auto at = streams_.begin(); at != streams_.end();)
    at = work(*at->second, at->second->queued) && at->second->dropped ? streams_.erase(at) : std::next(at);
  return pieces_ != before;
}

cudaError_t EmulatedDevice::finish(const std::shared_ptr<StreamState>& stream, uint64_t until) {
  while (!work(*stream, until)) {
    if (work_on_everything()) continue;
    changed_.wait(mutex_);
    if (!failure_.empty()) return cudaErrorLaunchFailure;
  }
  changed_.notify_all();  // who waits for a meeting may have met
  return cudaSuccess;
}

cudaError_t EmulatedDevice::finish_everything_of(int device) {
  std::vector<std::shared_ptr<StreamState>> all(legacy_.begin(), legacy_.end());
  for (const auto& [handle, stream] : streams_) all.push_back(stream);
  for (const auto& stream : all) {
    if (!stream || stream->device != device) continue;
    if (const cudaError_t code = finish(stream, stream->queued); code != cudaSuccess) return code;
  }
  return cudaSuccess;
}

void EmulatedDevice::launch(const LaunchShape& shape, const void* function, std::function<void()> thread) {
  guarded([&] {
    const auto allowed = allowed_shared_.find(function);
    const size_t most = allowed == allowed_shared_.end() ? kSharedBytes : std::max(kSharedBytes, allowed->second);
    if (!fits(shape)) return cudaErrorInvalidConfiguration;
    if (shape.dynamic_shared > most) return cudaErrorInvalidValue;
    if (stream(shape.stream)->device != current_device()) return cudaErrorInvalidResourceHandle;
    const auto number = static_cast<uint64_t>(++counts_.launches);
    queue(shape.stream, [this, shape, most, number, work = std::move(thread)] {
      run_grid(block_, {.shape = shape, .most_shared = most, .thread = &work}, number);
    });
    return cudaSuccess;
  });
}

Counts counts() { return EmulatedDevice::get().counts(); }
void set_devices(int devices) { EmulatedDevice::get().set_devices(devices); }
bool has_context(int device) { return EmulatedDevice::get().has_context(device); }
void forget_contexts() { EmulatedDevice::get().forget_contexts(); }

void launch(const LaunchShape& shape, const void* function, std::function<void()> thread) {
  EmulatedDevice::get().launch(shape, function, std::move(thread));
}

void enter_kernel(const char* name) { EmulatedDevice::get().block().enter_kernel(name); }

int barrier(const Meeting& meeting, int predicate) { return EmulatedDevice::get().block().barrier(meeting, predicate); }

uint32_t warp_operation(const Meeting& meeting, const WarpGift& gift) {
  return EmulatedDevice::get().block().warp_operation(meeting, gift);
}

void* static_shared_memory(const void* place, size_t bytes) {
  return EmulatedDevice::get().block().static_memory(place, bytes);
}

void* dynamic_shared_memory() { return EmulatedDevice::get().block().dynamic_memory(); }

}  // namespace timetrial::emulation
