// Cross entropy over shards: a block per row for statistics and gradient, a thread per row for the loss.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/sharded_cross_entropy_kernels.h"
#include "ops/cuda/softmax_row.cuh"

namespace timetrial::ops::cuda {

namespace {

template <class T>
__global__ void forward_kernel(CrossEntropyShardForwardLaunch a) {
  const int64_t row = blockIdx.x;
  const T* logits = static_cast<const T*>(a.logits) + row * a.columns;
  const float largest = largest_of(logits, a.columns);
  // A shard whose logits are all -inf adds nothing to the softmax of the others; -inf - -inf would make it NaN.
  const float sum = sum_of_exponentials(logits, a.columns, largest == -INFINITY ? 0.0f : largest);
  if (threadIdx.x != 0) return;
  const int64_t label = a.labels[row] - a.first_class;
  a.statistics[row] = largest;
  a.statistics[a.rows + row] = sum;
  a.statistics[2 * a.rows + row] = 0 <= label && label < a.columns ? load(logits + label) : -INFINITY;
}

__global__ void combine_kernel(CrossEntropyCombineLaunch a) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kRowThreads + threadIdx.x;
  if (row >= a.rows) return;
  float largest = -INFINITY, target = -INFINITY;
  for (int64_t shard = 0; shard < a.shards; ++shard) {
    largest = fmaxf(largest, a.statistics[shard * 3 * a.rows + row]);
    // One shard has the label, the others say -inf.
    target = fmaxf(target, a.statistics[(shard * 3 + 2) * a.rows + row]);
  }
  float sum = 0;
  for (int64_t shard = 0; shard < a.shards; ++shard)
    sum += a.statistics[(shard * 3 + 1) * a.rows + row] * expf(a.statistics[shard * 3 * a.rows + row] - largest);
  const float log_sum = logf(sum);
  a.lse[row] = largest + log_sum;
  // Not lse - logit: the difference of the two large numbers first keeps small losses exact.
  a.loss[row] = (largest - target) + log_sum;
}

template <class T>
__global__ void backward_kernel(CrossEntropyShardBackwardLaunch a) {
  const int64_t row = blockIdx.x;
  to_logit_gradient(static_cast<T*>(a.logits) + row * a.columns, a.columns, a.labels[row] - a.first_class, a.lse[row],
                    a.scale);
}

}  // namespace

void launch(const CrossEntropyShardForwardLaunch& a, StreamRef stream) {
  if (a.rows == 0) return;
  const DeviceScope scope(stream.device.index);
  visit_storage(a.type, [&]<class T>() {
    forward_kernel<T><<<static_cast<unsigned>(a.rows), kRowThreads, 0, stream_of(stream)>>>(a);
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const CrossEntropyCombineLaunch& a, StreamRef stream) {
  if (a.rows == 0) return;
  const DeviceScope scope(stream.device.index);
  const auto blocks = static_cast<unsigned>((a.rows + kRowThreads - 1) / kRowThreads);
  combine_kernel<<<blocks, kRowThreads, 0, stream_of(stream)>>>(a);
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const CrossEntropyShardBackwardLaunch& a, StreamRef stream) {
  if (a.rows == 0) return;
  const DeviceScope scope(stream.device.index);
  visit_storage(a.type, [&]<class T>() {
    backward_kernel<T><<<static_cast<unsigned>(a.rows), kRowThreads, 0, stream_of(stream)>>>(a);
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
