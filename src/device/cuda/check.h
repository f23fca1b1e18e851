// TIMETRIAL_CUDA: a CUDA runtime call whose failure becomes a CudaError; and the current-device scope.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <source_location>

// Kernels include this file, so it stays free of headers that nvcc is slow with or cannot read (base/error.h).
namespace timetrial::cuda {

// Throws CudaError (device/cuda/error.h).
[[noreturn]] void throw_cuda_error(cudaError_t code, const char* call,
                                   std::source_location location = std::source_location::current());

// Makes a device the calling thread's current one, and the earlier one again when it closes.
class DeviceScope {
 public:
  explicit DeviceScope(int device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  int before_ = 0;
  bool changed_ = false;
};

}  // namespace timetrial::cuda

// Throws CudaError unless the call returns cudaSuccess. After a kernel launch: TIMETRIAL_CUDA(cudaGetLastError()).
#define TIMETRIAL_CUDA(call)                                                                   \
  do {                                                                                         \
    if (const cudaError_t timetrial_code = (call); timetrial_code != cudaSuccess) [[unlikely]] \
      ::timetrial::cuda::throw_cuda_error(timetrial_code, #call);                              \
  } while (false)
