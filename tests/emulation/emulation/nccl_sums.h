// Arithmetic of the emulated NCCL on bytes of its element types.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nccl.h>

#include <cstddef>
#include <vector>

namespace timetrial::emulation {

size_t bytes_of(ncclDataType_t type);  // of an element
// Element by element over inputs of `count` elements, in their order, rounded once; the inputs are read first, so the
// result may take the place of one.
std::vector<std::byte> combined(const std::vector<const std::byte*>& inputs, size_t count, ncclDataType_t type,
                                ncclRedOp_t operation);

}  // namespace timetrial::emulation
