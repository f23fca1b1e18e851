// Gradients of a scaled bias per expert: column sums over the expert's rows, and a dot product per row for the scale.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/column_sum.cuh"
#include "ops/cuda/grouped_matmul_kernels.h"

namespace timetrial::ops::cuda {

namespace {

template <class T>
struct ScaledTerm {
  const T* d_c;
  const float* scale;
  int64_t n;
  __device__ float operator()(int64_t row, int64_t column) const {
    const float value = load(d_c + row * n + column);
    return scale ? scale[row] * value : value;
  }
};

// blockIdx.y is the expert.
template <class T, class Out>
__global__ void bias_kernel(GroupedBiasBackwardLaunch a) {
  const int64_t expert = blockIdx.y;
  const ScaledTerm<T> term{static_cast<const T*>(a.d_c), a.bias_scale, a.n};
  add_block_column_sums(static_cast<Out*>(a.d_bias) + expert * a.n,
                        {a.expert_begin[expert], a.expert_begin[expert + 1], a.n}, term);
}

// The expert that owns a row; -1 when none does.
__device__ int64_t expert_of(const int32_t* expert_begin, int64_t experts, int64_t row) {
  if (row < expert_begin[0]) return -1;
  for (int64_t e = 0; e < experts; ++e)
    if (row < expert_begin[e + 1]) return e;
  return -1;
}

template <class T>
__global__ void bias_scale_kernel(GroupedBiasScaleBackwardLaunch a) {
  const int64_t row = blockIdx.x, expert = expert_of(a.expert_begin, a.experts, row);
  if (expert < 0) return;
  const T *d_c = static_cast<const T*>(a.d_c) + row * a.n, *bias = static_cast<const T*>(a.bias) + expert * a.n;
  float sum = 0;
  for (int64_t j = threadIdx.x; j < a.n; j += kRowThreads) sum += load(d_c + j) * load(bias + j);
  sum = block_sum(sum);
  if (threadIdx.x == 0) a.d_scale[row] += sum;
}

}  // namespace

void launch(const GroupedBiasBackwardLaunch& a, StreamRef stream) {
  const DeviceScope scope(stream.device.index);
  const dim3 blocks(static_cast<unsigned>((a.n + kTile - 1) / kTile), static_cast<unsigned>(a.experts));
  visit_storage(a.type, [&]<class T>() {
    visit_storage(a.bias_type,
                  [&]<class Out>() { bias_kernel<T, Out><<<blocks, dim3(kTile, kTile), 0, stream_of(stream)>>>(a); });
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const GroupedBiasScaleBackwardLaunch& a, StreamRef stream) {
  if (a.rows == 0) return;
  const DeviceScope scope(stream.device.index);
  visit_storage(a.type, [&]<class T>() {
    bias_scale_kernel<T><<<static_cast<unsigned>(a.rows), kRowThreads, 0, stream_of(stream)>>>(a);
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
