// The device layer's CUDA runtime calls, their errors, and the current-device scope. No kernels, so no nvcc.
// SPDX-License-Identifier: Apache-2.0
#include "device/cuda/runtime.h"

#include <cuda_profiler_api.h>

#include <array>
#include <cstdio>

#include "device/cuda/check.h"
#include "device/cuda/error.h"

namespace timetrial::cuda {

namespace {

// For destructors, which must not throw: a failed release is told and survived.
void report(cudaError_t code, const char* call) noexcept {
  // At exit the driver may be gone before the last owner; nothing is lost then.
  if (code == cudaSuccess || code == cudaErrorCudartUnloading) return;
  std::fprintf(stderr, "timetrial: %s in %s\n", cudaGetErrorName(code), call);
}

cudaStream_t stream_of(void* handle) { return static_cast<cudaStream_t>(handle); }
cudaEvent_t event_of(void* handle) { return static_cast<cudaEvent_t>(handle); }

}  // namespace

void throw_cuda_error(cudaError_t code, const char* call, std::source_location location) {
  throw CudaError(code, call, location);
}

DeviceScope::DeviceScope(int device) {
  TIMETRIAL_CUDA(cudaGetDevice(&before_));
  if (before_ == device) return;
  TIMETRIAL_CUDA(cudaSetDevice(device));
  changed_ = true;
}

DeviceScope::~DeviceScope() {
  if (changed_) report(cudaSetDevice(before_), "cudaSetDevice");
}

int device_count() {
  int count = 0;
  const cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaErrorNoDevice || code == cudaErrorInsufficientDriver || code == cudaErrorStubLibrary) {
    static_cast<void>(cudaGetLastError());  // a machine without a GPU is no error; do not leave one behind
    return 0;
  }
  TIMETRIAL_CUDA(code);
  return count;
}

void use(int device) { TIMETRIAL_CUDA(cudaSetDevice(device)); }

int in_use() {
  int device = 0;
  TIMETRIAL_CUDA(cudaGetDevice(&device));
  return device;
}

bool is_emulated() { return TIMETRIAL_EMULATED; }

void* create_stream(int device) {
  const DeviceScope scope(device);
  cudaStream_t stream = nullptr;
  TIMETRIAL_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return stream;
}

void destroy_stream(void* stream) noexcept { report(cudaStreamDestroy(stream_of(stream)), "cudaStreamDestroy"); }

void synchronize(void* stream) { TIMETRIAL_CUDA(cudaStreamSynchronize(stream_of(stream))); }

void* create_point(int device) {
  const DeviceScope scope(device);
  cudaEvent_t event = nullptr;
  TIMETRIAL_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  return event;
}

void destroy_point(void* point) noexcept {
  report(cudaEventDestroy(static_cast<cudaEvent_t>(point)), "cudaEventDestroy");
}

void set_point(void* point, void* stream) {
  TIMETRIAL_CUDA(cudaEventRecord(static_cast<cudaEvent_t>(point), stream_of(stream)));
}

void hold_at_point(void* point, void* stream) {
  TIMETRIAL_CUDA(cudaStreamWaitEvent(stream_of(stream), static_cast<cudaEvent_t>(point), 0));
}

void* allocate(int device, size_t bytes) {
  const DeviceScope scope(device);
  void* data = nullptr;
  const cudaError_t code = cudaMalloc(&data, bytes);
  if (code == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    size_t free = 0, total = 0;
    TIMETRIAL_CUDA(cudaMemGetInfo(&free, &total));
    throw CudaError(
        code, fmt::format("cudaMalloc of {} bytes on cuda:{}, {} of {} bytes are free", bytes, device, free, total));
  }
  TIMETRIAL_CUDA(code);
  // Streams that do not block on the legacy stream must find the zeros, so wait for them here.
  const cudaError_t zeroed = cudaMemset(data, 0, bytes);
  const cudaError_t waited = cudaStreamSynchronize(cudaStreamLegacy);
  if (zeroed != cudaSuccess || waited != cudaSuccess) {
    release(data);
    TIMETRIAL_CUDA(zeroed);
    TIMETRIAL_CUDA(waited);
  }
  return data;
}

void release(void* data) noexcept { report(cudaFree(data), "cudaFree"); }

void copy(void* destination, const void* source, size_t bytes, void* stream, bool wait) {
  TIMETRIAL_CUDA(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyDefault, stream_of(stream)));
  if (wait) synchronize(stream);
}

Properties properties(int device) {
  cudaDeviceProp p{};
  TIMETRIAL_CUDA(cudaGetDeviceProperties(&p, device));
  return {
      .name = p.name, .major = p.major, .minor = p.minor, .memory_bytes = p.totalGlobalMem, .ecc = p.ECCEnabled != 0};
}

std::string pci_bus_id(int device) {
  std::array<char, 32> text{};
  TIMETRIAL_CUDA(cudaDeviceGetPCIBusId(text.data(), static_cast<int>(text.size()), device));
  return text.data();
}

void memory_info(int device, size_t& free, size_t& total) {
  const DeviceScope scope(device);
  TIMETRIAL_CUDA(cudaMemGetInfo(&free, &total));
}

int runtime_version() { return CUDART_VERSION; }

void profiler_start() { TIMETRIAL_CUDA(cudaProfilerStart()); }
void profiler_stop() { TIMETRIAL_CUDA(cudaProfilerStop()); }

void* create_event(int device) {
  const DeviceScope scope(device);
  cudaEvent_t event = nullptr;
  TIMETRIAL_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  return event;
}

void destroy_event(void* event) noexcept { report(cudaEventDestroy(event_of(event)), "cudaEventDestroy"); }

void record_event(void* event, void* stream) { TIMETRIAL_CUDA(cudaEventRecord(event_of(event), stream_of(stream))); }

bool event_done(void* event) {
  const cudaError_t code = cudaEventQuery(event_of(event));
  if (code == cudaErrorNotReady) {
    static_cast<void>(cudaGetLastError());  // "not yet" is no error; do not leave one behind
    return false;
  }
  TIMETRIAL_CUDA(code);
  return true;
}

void wait_event(void* event) { TIMETRIAL_CUDA(cudaEventSynchronize(event_of(event))); }

void* allocate_host(int device, size_t bytes) {
  const DeviceScope scope(device);
  void* data = nullptr;
  TIMETRIAL_CUDA(cudaHostAlloc(&data, bytes, cudaHostAllocDefault));
  return data;
}

void release_host(void* data) noexcept { report(cudaFreeHost(data), "cudaFreeHost"); }

void fill_zero(int device, void* data, size_t bytes, void* stream) {
  const DeviceScope scope(device);
  TIMETRIAL_CUDA(cudaMemsetAsync(data, 0, bytes, stream_of(stream)));
}

}  // namespace timetrial::cuda
