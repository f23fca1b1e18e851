// The CUDA runtime's calls on the emulated device.
// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "emulation/device.h"

namespace {

using timetrial::emulation::EmulatedDevice;
using timetrial::emulation::EventState;
using timetrial::emulation::kDeviceBytes;
using timetrial::emulation::kMostSharedBytes;
using timetrial::emulation::MemoryKind;

EmulatedDevice& device() { return EmulatedDevice::get(); }

cudaError_t wait_for(EventState& event) {
  ++device().counts().synchronisations;
  if (event.stream) device().work(*event.stream, event.until);
  return cudaSuccess;
}

}  // namespace

const char* cudaGetErrorName(cudaError_t code) {
  switch (code) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorCudartUnloading:
      return "cudaErrorCudartUnloading";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorStubLibrary:
      return "cudaErrorStubLibrary";
    case cudaErrorInsufficientDriver:
      return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle:
      return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady:
      return "cudaErrorNotReady";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
  }
  return "unknown error";
}

const char* cudaGetErrorString(cudaError_t code) {
  if (code == cudaErrorLaunchFailure) return device().failure().c_str();
  return "emulated device";
}

cudaError_t cudaGetLastError() { return device().take_last_error(); }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* which) {
  *which = 0;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int which) { return which == 0 ? cudaSuccess : cudaErrorInvalidDevice; }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int which) {
  if (which != 0) return cudaErrorInvalidDevice;
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "emulated");
  properties->totalGlobalMem = kDeviceBytes;
  return cudaSuccess;
}

// No generation of chips, so nothing that only one of them can is ever chosen.
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int which) {
  if (which != 0) return cudaErrorInvalidDevice;
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = 1;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      return cudaSuccess;
  }
  return cudaErrorInvalidValue;
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int which) {
  if (which != 0) return cudaErrorInvalidDevice;
  std::snprintf(text, static_cast<size_t>(length), "0000:00:00.0");
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** data, size_t bytes) {
  return device().guarded([&] {
    ++device().counts().allocations;
    *data = device().memory().allocate(bytes);
    return *data ? cudaSuccess : cudaErrorMemoryAllocation;
  });
}

// Waits for all work, as the real one does.
cudaError_t cudaFree(void* data) {
  return device().guarded([&] {
    if (!data) return cudaSuccess;
    ++device().counts().synchronisations;
    device().work_off_everything();
    return device().memory().release(data) ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned) {
  return device().guarded([&] {
    ++device().counts().allocations;
    *data = device().memory().allocate_host(bytes);
    return *data ? cudaSuccess : cudaErrorMemoryAllocation;
  });
}

cudaError_t cudaFreeHost(void* data) {
  return device().guarded([&] {
    if (!data) return cudaSuccess;
    ++device().counts().synchronisations;
    device().work_off_everything();
    return device().memory().release_host(data) ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return device().guarded([&] {
    *free = device().memory().free_bytes();
    *total = kDeviceBytes;
    return cudaSuccess;
  });
}

cudaError_t cudaMemset(void* data, int value, size_t bytes) { return cudaMemsetAsync(data, value, bytes, nullptr); }

cudaError_t cudaMemsetAsync(void* data, int value, size_t bytes, cudaStream_t stream) {
  return device().guarded([&] {
    if (device().memory().kind_of(data) == MemoryKind::pageable || !device().memory().holds(data, bytes))
      return cudaErrorInvalidValue;
    ++device().counts().fills;
    device().queue(stream, [=] { std::memset(data, value, bytes); });
    return cudaSuccess;
  });
}

// Pageable memory is read before the call returns, and written before it returns (CUDA Runtime API, "API
// synchronization behavior"); everything else is the stream's.
cudaError_t cudaMemcpyAsync(void* destination, const void* source, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  return device().guarded([&] {
    const auto& memory = device().memory();
    if (!memory.holds(destination, bytes) || !memory.holds(source, bytes)) return cudaErrorInvalidValue;
    ++device().counts().copies;
    if (memory.kind_of(source) == MemoryKind::pageable) {
      const auto* const begin = static_cast<const std::byte*>(source);
      device().queue(stream, [destination, bytes, read = std::vector<std::byte>(begin, begin + bytes)] {
        std::memcpy(destination, read.data(), bytes);
      });
    } else {
      device().queue(stream, [=] { std::memmove(destination, source, bytes); });
    }
    if (memory.kind_of(destination) == MemoryKind::pageable) {
      ++device().counts().synchronisations;
      device().work_off(*device().stream(stream));
    }
    return cudaSuccess;
  });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return device().guarded([&] {
    if (flags != cudaStreamNonBlocking) return cudaErrorInvalidValue;  // the others would wait for the legacy stream
    *stream = device().make_stream();
    return cudaSuccess;
  });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return device().guarded([&] {
    device().drop_stream(stream);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return device().guarded([&] {
    ++device().counts().synchronisations;
    device().work_off(*device().stream(stream));
    return cudaSuccess;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return device().guarded([&] {
    if (event->stream) device().queue(stream, [reached = *event] { device().work(*reached.stream, reached.until); });
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new EventState;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return device().guarded([&] {
    event->stream = device().stream(stream);
    event->until = event->stream->queued;
    return cudaSuccess;
  });
}

// Each question lets the stream get on by one piece of work, so that who asks in a loop gets an answer.
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return device().guarded([&] {
    if (!event->stream || event->stream->done >= event->until) return cudaSuccess;
    device().work(*event->stream, event->stream->done + 1);
    return cudaErrorNotReady;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return device().guarded([&] { return wait_for(*event); });
}

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute, int value) {
  return device().guarded([&] {
    if (value < 0 || static_cast<size_t>(value) > kMostSharedBytes) return cudaErrorInvalidValue;
    device().allow_shared(function, static_cast<size_t>(value));
    return cudaSuccess;
  });
}
