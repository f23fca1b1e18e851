// Launchers of CUTLASS's grouped products, one kernel per file, and what they take: see grouped_cutlass.cuh.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "ops/cuda/grouped_matmul_kernels.h"

namespace timetrial::ops::cuda {

// What tensor maps are aligned to, bytes (CUDA driver API, cuTensorMapEncodeTiled: 64; CUTLASS keeps twice that).
inline constexpr size_t kGroupedScratchAlignment = 128;

// Where a launcher puts group sizes, pointers and tensor maps, and how many multiprocessors it may fill.
struct GroupedScratch {
  void* data;  // aligned to kGroupedScratchAlignment
  size_t bytes;
  int multiprocessors;
};

// A kernel for one way that operands lie: bytes() is what launch() needs in its scratch.
struct GroupedProductKernel {
  size_t (*bytes)(int64_t experts, int multiprocessors);
  void (*launch)(const GroupedMatmulLaunch& a, const GroupedScratch& scratch, StreamRef stream);
};
struct GroupedWeightKernel {
  size_t (*bytes)(int64_t experts, int multiprocessors);
  void (*launch)(const GroupedMatmulBackwardWeightLaunch& a, const GroupedScratch& scratch, StreamRef stream);
};

// One generation of chips: bf16 operands, fp32 sums; rows and columns start at multiples of 16 bytes.
struct GroupedKernelSet {
  const GroupedProductKernel* rows_by_weights_transposed;  // a (rows, k), b (experts, n, k)
  const GroupedProductKernel* rows_by_weights;             // a (rows, k), b (experts, k, n)
  const GroupedWeightKernel* weight_gradient;              // d_weight in fp32
};
namespace hopper {
extern const GroupedProductKernel kRowsByWeightsTransposed, kRowsByWeights;
extern const GroupedWeightKernel kWeightGradient;
}  // namespace hopper
namespace blackwell {
extern const GroupedProductKernel kRowsByWeightsTransposed, kRowsByWeights;
extern const GroupedWeightKernel kWeightGradient;
}  // namespace blackwell

}  // namespace timetrial::ops::cuda
