// The kernels of one device's chip, and the scratch that they need.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "ops/cuda/grouped_cutlass_kernels.h"

namespace timetrial::ops::cuda {

// The chip's kernels of a device; none when only the plain ones run there.
std::optional<GroupedKernelSet> chip_kernels(Device device);
int multiprocessors(Device device);
// What any of the three products needs with so many experts.
size_t grouped_scratch_bytes(const GroupedKernelSet& kernels, int64_t experts, int multiprocessors);

}  // namespace timetrial::ops::cuda
