// CudaError: a CUDA runtime call failed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include "timetrial/base/error.h"

namespace timetrial::cuda {

// code() tells a sticky error, after which the process can do no more device work, from others.
class CudaError : public Error {
 public:
  CudaError(cudaError_t code, const std::string& call, std::source_location location = std::source_location::current())
      : Error(fmt::format("{}: {} in {}", cudaGetErrorName(code), cudaGetErrorString(code), call), location),
        code_(code) {}
  cudaError_t code() const { return code_; }

 private:
  cudaError_t code_;
};

}  // namespace timetrial::cuda
