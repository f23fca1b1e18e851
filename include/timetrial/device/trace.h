// Trace: what an outside profiler (Nsight) sees of a run: named ranges, and the window it records.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "timetrial/device/device.h"

namespace timetrial {

// From construction to destruction a range on this thread's row of the profiler's time line. In CUDA builds it is an
// NVTX range, which costs a few nanoseconds while no profiler is attached; in CPU builds it is nothing.
class TraceRange {
 public:
  // `name` must outlive the program's use of it (a literal); `number` tells ranges of one name apart: a layer, a micro
  // batch.
  explicit TraceRange(const char* name, int64_t number = 0);
  ~TraceRange();
  TraceRange(const TraceRange&) = delete;
  TraceRange& operator=(const TraceRange&) = delete;
};

// The window of `nsys profile --capture-range=cudaProfilerApi` and its like. Throws Error for the CPU.
void start_recording(Device device);
void stop_recording(Device device);

}  // namespace timetrial
