// Grouped products by CUTLASS's pointer-array kernels: one problem per expert, described on the device by a kernel of
// one block, so that the host never knows a group's size. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cutlass/cutlass.h>
#include <cutlass/gemm/device/gemm_universal_adapter.h>
#include <cutlass/epilogue/collective/collective_builder.hpp>
#include <cutlass/epilogue/fusion/operations.hpp>
#include <cutlass/gemm/collective/collective_builder.hpp>
#include <cutlass/gemm/group_array_problem_shape.hpp>
#include <cutlass/gemm/kernel/gemm_universal.hpp>
#include <cutlass/util/packed_stride.hpp>

#include "ops/cuda/grouped_cutlass_kernels.h"
#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

using Bf16 = cutlass::bfloat16_t;
using GroupedSizes = cutlass::gemm::GroupProblemShape<cute::Shape<int, int, int>>;

// D = accumulator + column vector * row vector: the scaled bias of an expert. Null pointers count as 1 and 0. An
// expert's rows begin anywhere, so the column is read one element at a time.
template <class CtaTile>
using ScaledBias = cutlass::epilogue::fusion::Sm90EVT<
    cutlass::epilogue::fusion::Sm90Compute<cutlass::homogeneous_multiply_add, Bf16, float,
                                           cutlass::FloatRoundStyle::round_to_nearest>,
    cutlass::epilogue::fusion::Sm90ColBroadcast<0, CtaTile, float*, float, cute::Stride<cute::_1, cute::_0, cute::_0>,
                                                1>,
    cutlass::epilogue::fusion::Sm90RowBroadcast<0, CtaTile, Bf16*, float>, cutlass::epilogue::fusion::Sm90AccFetch>;
// D = accumulator + C.
using Accumulate = cutlass::epilogue::fusion::LinearCombination<float, float, float>;

// Chip: Arch, Tile (of one instruction), CtaTile (of one multiprocessor), Cluster, Mainloop, Epilogue (schedules).
template <class Chip, class LayoutA, class LayoutB, class C, class D, class Fusion>
struct GroupedGemm {
  static constexpr int kAlignment = 16;  // bytes
  using CollectiveEpilogue = typename cutlass::epilogue::collective::CollectiveBuilder<
      typename Chip::Arch, cutlass::arch::OpClassTensorOp, typename Chip::Tile, typename Chip::Cluster,
      cutlass::epilogue::collective::EpilogueTileAuto, float, float, C, cutlass::layout::RowMajor*,
      kAlignment / sizeof(D), D, cutlass::layout::RowMajor*, kAlignment / sizeof(D), typename Chip::Epilogue,
      Fusion>::CollectiveOp;
  using CollectiveMainloop = typename cutlass::gemm::collective::CollectiveBuilder<
      typename Chip::Arch, cutlass::arch::OpClassTensorOp, Bf16, LayoutA*, kAlignment / sizeof(Bf16), Bf16, LayoutB*,
      kAlignment / sizeof(Bf16), float, typename Chip::Tile, typename Chip::Cluster,
      cutlass::gemm::collective::StageCountAutoCarveout<static_cast<int>(
          sizeof(typename CollectiveEpilogue::SharedStorage))>,
      typename Chip::Mainloop>::CollectiveOp;
  using Kernel = cutlass::gemm::kernel::GemmUniversal<GroupedSizes, CollectiveMainloop, CollectiveEpilogue>;
  using Gemm = cutlass::gemm::device::GemmUniversalAdapter<Kernel>;
  using StrideA = typename Kernel::InternalStrideA;
  using StrideB = typename Kernel::InternalStrideB;
  using StrideD = typename Kernel::InternalStrideD;

  // One entry per expert in each array.
  struct Problems {
    typename GroupedSizes::UnderlyingProblemShape* sizes;
    const Bf16 **a, **b;
    D** d;
    const float** column;  // of the fused scale; null: none
    const Bf16** row;      // of the fused bias; null: none
    StrideA* stride_a;
    StrideB* stride_b;
    StrideD* stride_d;
  };
};

// Hands out aligned pieces of memory; with no memory it only counts.
class Carver {
 public:
  explicit Carver(void* data) : data_(static_cast<char*>(data)) {}
  template <class T>
  T* take(int64_t count) {
    T* piece = data_ ? reinterpret_cast<T*>(data_ + used_) : nullptr;
    used_ += (static_cast<size_t>(count) * sizeof(T) + kStep - 1) / kStep * kStep;
    return piece;
  }
  size_t used() const { return used_; }

 private:
  static constexpr size_t kStep = kGroupedScratchAlignment;
  char* data_;
  size_t used_ = 0;
};

template <class G>
typename G::Problems carve(Carver& carver, int64_t experts) {
  typename G::Problems p;
  p.sizes = carver.take<typename GroupedSizes::UnderlyingProblemShape>(experts);
  p.a = carver.take<const Bf16*>(experts);
  p.b = carver.take<const Bf16*>(experts);
  p.d = carver.template take<std::remove_pointer_t<decltype(p.d)>>(experts);
  p.column = carver.take<const float*>(experts);
  p.row = carver.take<const Bf16*>(experts);
  p.stride_a = carver.take<typename G::StrideA>(experts);
  p.stride_b = carver.take<typename G::StrideB>(experts);
  p.stride_d = carver.take<typename G::StrideD>(experts);
  return p;
}

[[noreturn]] void throw_cutlass_error(const char* what, const char* status);

inline void check_cutlass(const char* what, cutlass::Status status) {
  if (status != cutlass::Status::kSuccess) throw_cutlass_error(what, cutlass::cutlassGetStatusString(status));
}

template <class G>
typename G::Gemm::Arguments arguments_of(const typename G::Problems& p, int64_t experts, int multiprocessors) {
  typename G::Gemm::Arguments arguments{};
  arguments.mode = cutlass::gemm::GemmUniversalMode::kGrouped;
  arguments.problem_shape = {static_cast<int>(experts), p.sizes, nullptr};
  arguments.mainloop = {p.a, p.stride_a, p.b, p.stride_b};
  arguments.epilogue.ptr_D = p.d;
  arguments.epilogue.dD = p.stride_d;
  arguments.hw_info.sm_count = multiprocessors;
  return arguments;
}

template <class G>
size_t scratch_bytes(int64_t experts, int multiprocessors) {
  Carver carver(nullptr);
  const auto problems = carve<G>(carver, experts);
  return carver.used() + G::Gemm::get_workspace_size(arguments_of<G>(problems, experts, multiprocessors));
}

// `arguments` of problems that the first `used` bytes of the scratch hold.
template <class G>
void run(const typename G::Gemm::Arguments& arguments, const GroupedScratch& scratch, size_t used, StreamRef stream) {
  typename G::Gemm gemm;
  char* workspace = static_cast<char*>(scratch.data) + used;
  check_cutlass("can_implement", G::Gemm::can_implement(arguments));
  check_cutlass("initialize", gemm.initialize(arguments, workspace, stream_of(stream)));
  check_cutlass("run", gemm.run(stream_of(stream)));
}

inline constexpr int kDescribeThreads = 256;

// Rows of the expert times its weight.
template <class G>
__global__ void describe_product(GroupedMatmulLaunch a, typename G::Problems p) {
  for (int64_t e = threadIdx.x; e < a.experts; e += kDescribeThreads) {
    const int64_t begin = a.expert_begin[e];
    const int m = a.expert_begin[e + 1] - a.expert_begin[e], n = static_cast<int>(a.n), k = static_cast<int>(a.k);
    p.sizes[e] = cute::make_shape(m, n, k);
    p.a[e] = static_cast<const Bf16*>(a.a) + begin * a.k;
    p.b[e] = static_cast<const Bf16*>(a.b) + e * a.n * a.k;
    p.d[e] = static_cast<Bf16*>(a.c) + begin * a.n;
    p.column[e] = a.bias_scale ? a.bias_scale + begin : nullptr;
    p.row[e] = a.bias ? static_cast<const Bf16*>(a.bias) + e * a.n : nullptr;
    p.stride_a[e] = cutlass::make_cute_packed_stride(typename G::StrideA{}, cute::make_shape(m, k, 1));
    p.stride_b[e] = cutlass::make_cute_packed_stride(typename G::StrideB{}, cute::make_shape(n, k, 1));
    p.stride_d[e] = cutlass::make_cute_packed_stride(typename G::StrideD{}, cute::make_shape(m, n, 1));
  }
}

// d_c^T a over the expert's rows. An expert without rows is a problem without tiles: its gradient stays as it is.
template <class G>
__global__ void describe_weight_gradient(GroupedMatmulBackwardWeightLaunch a, typename G::Problems p) {
  for (int64_t e = threadIdx.x; e < a.experts; e += kDescribeThreads) {
    const int64_t begin = a.expert_begin[e];
    const int rows = a.expert_begin[e + 1] - a.expert_begin[e], n = static_cast<int>(a.n), k = static_cast<int>(a.k);
    p.sizes[e] = cute::make_shape(rows > 0 ? n : 0, k, rows);
    p.a[e] = static_cast<const Bf16*>(a.d_c) + begin * a.n;
    p.b[e] = static_cast<const Bf16*>(a.a) + begin * a.k;
    p.d[e] = static_cast<float*>(a.d_weight) + e * a.n * a.k;
    p.stride_a[e] = cutlass::make_cute_packed_stride(typename G::StrideA{}, cute::make_shape(n, rows, 1));
    p.stride_b[e] = cutlass::make_cute_packed_stride(typename G::StrideB{}, cute::make_shape(k, rows, 1));
    p.stride_d[e] = cutlass::make_cute_packed_stride(typename G::StrideD{}, cute::make_shape(n, k, 1));
  }
}

template <class G>
void launch_product(const GroupedMatmulLaunch& a, const GroupedScratch& scratch, StreamRef stream) {
  const DeviceScope scope(stream.device.index);
  Carver carver(scratch.data);
  const auto problems = carve<G>(carver, a.experts);
  describe_product<G><<<1, kDescribeThreads, 0, stream_of(stream)>>>(a, problems);
  TIMETRIAL_CUDA(cudaGetLastError());
  auto arguments = arguments_of<G>(problems, a.experts, scratch.multiprocessors);
  // The order of the tree's children: scale, bias, accumulator, the operation.
  arguments.epilogue.thread = {
      {a.bias_scale ? problems.column : nullptr, 1.0f, {}}, {a.bias ? problems.row : nullptr, Bf16(0), {}}, {}, {}};
  run<G>(arguments, scratch, carver.used(), stream);
}

template <class G>
void launch_weight_gradient(const GroupedMatmulBackwardWeightLaunch& a, const GroupedScratch& scratch,
                            StreamRef stream) {
  const DeviceScope scope(stream.device.index);
  Carver carver(scratch.data);
  const auto problems = carve<G>(carver, a.experts);
  describe_weight_gradient<G><<<1, kDescribeThreads, 0, stream_of(stream)>>>(a, problems);
  TIMETRIAL_CUDA(cudaGetLastError());
  auto arguments = arguments_of<G>(problems, a.experts, scratch.multiprocessors);
  arguments.epilogue.thread.alpha = 1.0f;
  arguments.epilogue.thread.beta = 1.0f;
  arguments.epilogue.ptr_C = const_cast<const float**>(problems.d);
  arguments.epilogue.dC = problems.stride_d;
  run<G>(arguments, scratch, carver.used(), stream);
}

}  // namespace timetrial::ops::cuda
