// Blackwell: the experts' weight gradients, added to fp32; the sum runs over as many rows as an expert has.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/blackwell/grouped_chip.cuh"

namespace timetrial::ops::cuda::blackwell {

namespace {
using G = GroupedGemm<Chip, cutlass::layout::ColumnMajor, cutlass::layout::RowMajor, float, float, Accumulate>;
}
const GroupedWeightKernel kWeightGradient = {scratch_bytes<G>, launch_weight_gradient<G>};

}  // namespace timetrial::ops::cuda::blackwell
