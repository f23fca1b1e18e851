// Hopper: rows (rows, k) by weights (experts, k, n), the gradient of the rows.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/hopper/grouped_chip.cuh"

namespace timetrial::ops::cuda::hopper {

namespace {
using G =
    GroupedGemm<Chip, cutlass::layout::RowMajor, cutlass::layout::RowMajor, void, Bf16, ScaledBias<Chip::CtaTile>>;
}
const GroupedProductKernel kRowsByWeights = {scratch_bytes<G>, launch_product<G>};

}  // namespace timetrial::ops::cuda::hopper
