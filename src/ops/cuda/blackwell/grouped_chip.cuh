// Blackwell's tile and schedules of grouped products: one instruction of two multiprocessors, sums in tensor memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/cuda/grouped_cutlass.cuh"

namespace timetrial::ops::cuda::blackwell {

struct Chip {
  using Arch = cutlass::arch::Sm100;
  using Tile = cute::Shape<cute::_256, cute::_256, cute::_64>;
  using CtaTile = cute::Shape<cute::_128, cute::_256, cute::_64>;
  using Cluster = cute::Shape<cute::_2, cute::_1, cute::_1>;
  using Mainloop = cutlass::gemm::KernelPtrArrayTmaWarpSpecialized2SmSm100;
  using Epilogue = cutlass::epilogue::PtrArrayTmaWarpSpecialized2Sm;
};

}  // namespace timetrial::ops::cuda::blackwell
