// Cross entropy kernels: one block per row of the vocabulary, no second buffer of logits, 64-bit places.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/cross_entropy_kernels.h"
#include "ops/cuda/softmax_row.cuh"

namespace timetrial::ops::cuda {

namespace {

template <class T>
__global__ void forward_kernel(CrossEntropyForwardLaunch a) {
  const int64_t row = blockIdx.x;
  const T* logits = static_cast<const T*>(a.logits) + row * a.columns;
  const float largest = largest_of(logits, a.columns);
  const float log_sum = logf(sum_of_exponentials(logits, a.columns, largest));
  if (threadIdx.x != 0) return;
  a.lse[row] = largest + log_sum;
  // Not lse - logit: the difference of the two large numbers first keeps small losses exact.
  a.loss[row] = (largest - load(logits + a.labels[row])) + log_sum;
}

template <class T>
__global__ void backward_kernel(CrossEntropyBackwardLaunch a) {
  const int64_t row = blockIdx.x;
  to_logit_gradient(static_cast<T*>(a.logits) + row * a.columns, a.columns, a.labels[row], a.lse[row], a.scale);
}

}  // namespace

void launch(const CrossEntropyForwardLaunch& a, StreamRef stream) {
  if (a.rows == 0) return;
  const DeviceScope scope(stream.device.index);
  visit_storage(a.type, [&]<class T>() {
    forward_kernel<T><<<static_cast<unsigned>(a.rows), kRowThreads, 0, stream_of(stream)>>>(a);
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const CrossEntropyBackwardLaunch& a, StreamRef stream) {
  if (a.rows == 0) return;
  const DeviceScope scope(stream.device.index);
  visit_storage(a.type, [&]<class T>() {
    backward_kernel<T><<<static_cast<unsigned>(a.rows), kRowThreads, 0, stream_of(stream)>>>(a);
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
