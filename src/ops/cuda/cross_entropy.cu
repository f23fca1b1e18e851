// Cross entropy kernels: one block per row of the vocabulary, no second buffer of logits, 64-bit places.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/cross_entropy_kernels.h"
#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

namespace {

template <class T>
__global__ void forward_kernel(CrossEntropyForwardLaunch a) {
  const int64_t row = blockIdx.x;
  const T* logits = static_cast<const T*>(a.logits) + row * a.columns;
  // A NaN loses every comparison here and shows in the sum of exponentials.
  float largest = -INFINITY;
  for (int64_t j = threadIdx.x; j < a.columns; j += kRowThreads) largest = fmaxf(largest, load(logits + j));
  largest = block_max(largest);
  float sum = 0;
  for (int64_t j = threadIdx.x; j < a.columns; j += kRowThreads) sum += expf(load(logits + j) - largest);
  const float log_sum = logf(block_sum(sum));
  if (threadIdx.x != 0) return;
  a.lse[row] = largest + log_sum;
  // Not lse - logit: the difference of the two large numbers first keeps small losses exact.
  a.loss[row] = (largest - load(logits + a.labels[row])) + log_sum;
}

template <class T>
__global__ void backward_kernel(CrossEntropyBackwardLaunch a) {
  const int64_t row = blockIdx.x, label = a.labels[row];
  T* logits = static_cast<T*>(a.logits) + row * a.columns;
  const float lse = a.lse[row];
  for (int64_t j = threadIdx.x; j < a.columns; j += kRowThreads)
    store(logits + j, expf(load(logits + j) - lse) * a.scale - (j == label ? a.scale : 0.0f));
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
