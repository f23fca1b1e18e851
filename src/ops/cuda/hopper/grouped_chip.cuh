// Hopper's tile and schedules of grouped products: two multiprocessors share the weights' tiles.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/cuda/grouped_cutlass.cuh"

namespace timetrial::ops::cuda::hopper {

struct Chip {
  using Arch = cutlass::arch::Sm90;
  using Tile = cute::Shape<cute::_128, cute::_256, cute::_64>;
  using CtaTile = Tile;
  using Cluster = cute::Shape<cute::_2, cute::_1, cute::_1>;
  using Mainloop = cutlass::gemm::KernelPtrArrayTmaWarpSpecializedCooperative;
  using Epilogue = cutlass::epilogue::PtrArrayTmaWarpSpecializedCooperative;
};

}  // namespace timetrial::ops::cuda::hopper
