// The CUDA runtime's calls on the emulated device.
// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "emulation/device.h"

namespace {

using timetrial::emulation::current_device;
using timetrial::emulation::EmulatedDevice;
using timetrial::emulation::EventState;
using timetrial::emulation::kDeviceBytes;
using timetrial::emulation::kMostSharedBytes;
using timetrial::emulation::MemoryKind;

constexpr uint64_t kPieces = 64;  // of work that one question about an event gets done

EmulatedDevice& device() { return EmulatedDevice::get(); }

cudaError_t wait_for(EventState& event) {
  ++device().counts().synchronisations;
  return event.stream ? device().finish(event.stream, event.until) : cudaSuccess;
}

bool is_device(int which) { return which >= 0 && which < device().devices(); }

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
  *count = device().devices();
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* which) {
  *which = current_device();
  return cudaSuccess;
}

// Makes the device's context (CUDA Runtime API, cudaSetDevice, from 12.0 on).
cudaError_t cudaSetDevice(int which) {
  if (!is_device(which)) return cudaErrorInvalidDevice;
  current_device() = which;
  return device().guarded([] { return cudaSuccess; });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int which) {
  if (!is_device(which)) return cudaErrorInvalidDevice;
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "emulated");
  properties->totalGlobalMem = kDeviceBytes;
  return cudaSuccess;
}

// No generation of chips, so nothing that only one of them can is ever chosen.
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int which) {
  if (!is_device(which)) return cudaErrorInvalidDevice;
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
  if (!is_device(which)) return cudaErrorInvalidDevice;
  std::snprintf(text, static_cast<size_t>(length), "0000:%02x:00.0", static_cast<unsigned>(which));
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** data, size_t bytes) {
  return device().guarded([&] {
    ++device().counts().allocations;
    *data = device().memory().allocate(bytes, current_device());
    return *data ? cudaSuccess : cudaErrorMemoryAllocation;
  });
}

// Waits for all work of the memory's device, as the real one does.
cudaError_t cudaFree(void* data) {
  return device().guarded([&] {
    if (!data) return cudaSuccess;
    ++device().counts().synchronisations;
    const cudaError_t code = device().finish_everything_of(device().memory().device_of(data));
    if (code != cudaSuccess) return code;
    return device().memory().release(data) ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned) {
  return device().guarded([&] {
    ++device().counts().allocations;
    *data = device().memory().allocate_host(bytes, current_device());
    return *data ? cudaSuccess : cudaErrorMemoryAllocation;
  });
}

cudaError_t cudaFreeHost(void* data) {
  return device().guarded([&] {
    if (!data) return cudaSuccess;
    ++device().counts().synchronisations;
    const cudaError_t code = device().finish_everything_of(device().memory().device_of(data));
    if (code != cudaSuccess) return code;
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
    if (device().stream(stream)->device != current_device()) return cudaErrorInvalidResourceHandle;
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
      const auto waited = device().stream(stream);
      return device().finish(waited, waited->queued);
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
    const auto waited = device().stream(stream);
    return device().finish(waited, waited->queued);
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return device().guarded([&] {
    if (event->stream)
      device().queue(stream, {[reached = *event] { return device().work(*reached.stream, reached.until); }, {}});
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return device().guarded([&] {
    *event = new EventState{.device = current_device(), .stream = {}};
    return cudaSuccess;
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return device().guarded([&] {
    if (device().stream(stream)->device != event->device) return cudaErrorInvalidResourceHandle;
    event->stream = device().stream(stream);
    event->until = event->stream->queued;
    return cudaSuccess;
  });
}

// Each question lets the stream get on by some pieces of work, so that who asks in a loop gets an answer; where that
// waits for another stream, the others get on.
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return device().guarded([&] {
    if (!event->stream || event->stream->done >= event->until) return cudaSuccess;
    if (!device().work(*event->stream, std::min(event->until, event->stream->done + kPieces)))
      device().work_on_everything();
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
