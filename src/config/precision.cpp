// The narrowest types of a run.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/precision.h"

namespace timetrial {

LowestPrecision lowest_precision(const RunConfig& config) {
  const DType storage = config.device.dtype;
  const bool narrow_gradients = config.train.gradient_storage == StateStorage::bf16;
  return {.linear = storage, .attention = storage, .communication = narrow_gradients ? DType::bf16 : storage};
}

}  // namespace timetrial
