// Addition by threads over elements; a sum by one block, whose order is fixed without a workspace.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/elementwise_kernels.h"
#include "ops/cuda/for_each.cuh"

namespace timetrial::ops::cuda {

namespace {

template <class T>
struct AddElement {
  T* out;
  const T *a, *b;
  __device__ void operator()(int64_t i) const { store(out + i, load(a + i) + load(b + i)); }
};

constexpr int kSumThreads = 1024;

// What is summed are losses of one micro batch, tens of thousands of values: one block is enough.
template <class T>
__global__ void accumulate_sum_kernel(T* out, const T* x, int64_t elements, double scale) {
  __shared__ double partial[kSumThreads];
  double sum = 0;
  for (int64_t i = threadIdx.x; i < elements; i += kSumThreads) sum += static_cast<double>(load(x + i));
  partial[threadIdx.x] = sum;
  for (int half = kSumThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
  }
  if (threadIdx.x == 0) store(out, static_cast<float>(static_cast<double>(load(out)) + scale * partial[0]));
}

}  // namespace

void launch(const AddLaunch& a, StreamRef stream) {
  visit_storage(a.type, [&]<class T>() {
    for_each(a.elements, AddElement<T>{static_cast<T*>(a.out), static_cast<const T*>(a.a), static_cast<const T*>(a.b)},
             stream);
  });
}

void launch(const AccumulateSumLaunch& a, StreamRef stream) {
  const DeviceScope scope(stream.device.index);
  visit_storage(a.type, [&]<class T>() {
    accumulate_sum_kernel<<<1, kSumThreads, 0, stream_of(stream)>>>(static_cast<T*>(a.out), static_cast<const T*>(a.x),
                                                                    a.elements, a.scale);
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
