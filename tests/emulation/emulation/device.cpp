// Streams and launches of the emulated device, and the places where kernels call back.
// SPDX-License-Identifier: Apache-2.0
#include "emulation/device.h"

#include <cstdio>
#include <numeric>
#include <utility>

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

cudaError_t EmulatedDevice::guarded(const std::function<cudaError_t()>& call) {
  const std::lock_guard lock(mutex_);
  if (!failure_.empty()) return last_error_ = cudaErrorLaunchFailure;
  cudaError_t code = cudaSuccess;
  try {
    code = call();
  } catch (const KernelError& error) {
    failure_ = error.what();
    std::fprintf(stderr, "emulated device: %s\n", failure_.c_str());
    code = cudaErrorLaunchFailure;
  }
  if (code != cudaSuccess) last_error_ = code;
  return code;
}

cudaError_t EmulatedDevice::take_last_error() {
  const std::lock_guard lock(mutex_);
  return std::exchange(last_error_, failure_.empty() ? cudaSuccess : cudaErrorLaunchFailure);
}

cudaStream_t EmulatedDevice::make_stream() {
  auto made = std::make_shared<StreamState>();
  cudaStream_t const handle = made.get();
  streams_.emplace(handle, std::move(made));
  return handle;
}

void EmulatedDevice::drop_stream(cudaStream_t handle) {
  work_off(*stream(handle));
  streams_.erase(handle);
}

std::shared_ptr<StreamState>& EmulatedDevice::stream(cudaStream_t handle) { return streams_.at(handle); }

void EmulatedDevice::queue(cudaStream_t handle, std::function<void()> work) {
  StreamState& into = *stream(handle);
  into.queue.push_back(std::move(work));
  ++into.queued;
}

void EmulatedDevice::work(StreamState& stream, uint64_t until) {
  if (stream.done >= until) return;
  const DeviceMemory::Open open(memory_);
  while (stream.done < until) {
    const std::function<void()> next = std::move(stream.queue.front());
    stream.queue.pop_front();
    next();
    ++stream.done;
  }
}

void EmulatedDevice::work_off_everything() {
  for (const auto& [handle, stream] : streams_) work_off(*stream);
}

void EmulatedDevice::launch(const LaunchShape& shape, const void* function, std::function<void()> thread) {
  guarded([&] {
    const auto allowed = allowed_shared_.find(function);
    const size_t most = allowed == allowed_shared_.end() ? kSharedBytes : std::max(kSharedBytes, allowed->second);
    if (!fits(shape)) return cudaErrorInvalidConfiguration;
    if (shape.dynamic_shared > most) return cudaErrorInvalidValue;
    const auto number = static_cast<uint64_t>(++counts_.launches);
    queue(shape.stream, [this, shape, most, number, work = std::move(thread)] {
      run_grid(block_, {.shape = shape, .most_shared = most, .thread = &work}, number);
    });
    return cudaSuccess;
  });
}

Counts counts() { return EmulatedDevice::get().counts(); }

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
