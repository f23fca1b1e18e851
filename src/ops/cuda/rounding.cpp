// Storage rounding on CUDA: tensors to kernel arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/rounding.h"

#include "ops/cuda/arguments.h"
#include "ops/cuda/rounding_kernels.h"

namespace timetrial::ops::cuda {

void round_to_bfloat16(const RoundToBfloat16& a, StreamRef stream) {
  launch(RoundToBfloat16Launch{.x = a.x.data<float>(), .elements = a.x.elements()}, stream);
}

}  // namespace timetrial::ops::cuda
