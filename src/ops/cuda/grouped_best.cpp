// Asks the device what it is and picks among the kernels that this build has for it.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/grouped_best.h"

#include <algorithm>

#include "device/cuda/check.h"
#include "ops/cuda/grouped_choice.h"
#include "timetrial/base/error.h"

namespace timetrial::ops::cuda {

namespace {

constexpr bool kHasHopper = TIMETRIAL_HOPPER_KERNELS, kHasBlackwell = TIMETRIAL_BLACKWELL_KERNELS;

int attribute(Device device, cudaDeviceAttr which) {
  int value = 0;
  TIMETRIAL_CUDA(cudaDeviceGetAttribute(&value, which, device.index));
  return value;
}

}  // namespace

std::optional<GroupedKernelSet> chip_kernels(Device device) {
  const ComputeCapability capability = {attribute(device, cudaDevAttrComputeCapabilityMajor),
                                        attribute(device, cudaDevAttrComputeCapabilityMinor)};
  switch (grouped_chip(capability, kHasHopper, kHasBlackwell)) {
    case GroupedChip::any:
      return std::nullopt;
    case GroupedChip::hopper:
      if constexpr (kHasHopper)
        return GroupedKernelSet{&hopper::kRowsByWeightsTransposed, &hopper::kRowsByWeights, &hopper::kWeightGradient};
      return std::nullopt;
    case GroupedChip::blackwell:
      if constexpr (kHasBlackwell)
        return GroupedKernelSet{&blackwell::kRowsByWeightsTransposed, &blackwell::kRowsByWeights,
                                &blackwell::kWeightGradient};
      return std::nullopt;
  }
  throw Error("chip_kernels: unknown chip");
}

int multiprocessors(Device device) { return attribute(device, cudaDevAttrMultiProcessorCount); }

size_t grouped_scratch_bytes(const GroupedKernelSet& kernels, int64_t experts, int multiprocessors) {
  return std::max({kernels.rows_by_weights_transposed->bytes(experts, multiprocessors),
                   kernels.rows_by_weights->bytes(experts, multiprocessors),
                   kernels.weight_gradient->bytes(experts, multiprocessors)});
}

}  // namespace timetrial::ops::cuda
