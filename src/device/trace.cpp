// Ranges and the recording window; the fork to CUDA.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/device/trace.h"

#include "device/cuda/runtime.h"
#include "timetrial/base/build.h"
#include "timetrial/base/error.h"

namespace timetrial {

TraceRange::TraceRange([[maybe_unused]] const char* name, [[maybe_unused]] int64_t number) {
  if constexpr (build::has_cuda) cuda::push_range(name, number);
}

TraceRange::~TraceRange() {
  if constexpr (build::has_cuda) cuda::pop_range();
}

void start_recording(Device device) {
  TIMETRIAL_CHECK(device.kind == DeviceKind::cuda, "{} has no profiler window", device.text());
  if constexpr (build::has_cuda) cuda::profiler_start();
}

void stop_recording(Device device) {
  TIMETRIAL_CHECK(device.kind == DeviceKind::cuda, "{} has no profiler window", device.text());
  if constexpr (build::has_cuda) cuda::profiler_stop();
}

}  // namespace timetrial
