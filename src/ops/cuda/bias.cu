// Bias kernels: adding one to every row, and the column sums that are its gradient.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/bias_kernels.h"
#include "ops/cuda/column_sum.cuh"
#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

namespace {

template <class T>
__global__ void add_to_rows_kernel(T* c, const T* bias, int64_t elements, int64_t columns) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < elements) store(c + i, load(c + i) + load(bias + i % columns));
}

template <class T>
struct ElementTerm {
  const T* data;
  int64_t columns;
  __device__ float operator()(int64_t row, int64_t column) const { return load(data + row * columns + column); }
};

}  // namespace

void launch(const AddToRowsLaunch& a, StreamRef stream) {
  const int64_t elements = a.rows * a.columns;
  if (elements == 0) return;
  const DeviceScope scope(stream.device.index);
  constexpr int kThreads = 256;
  const auto blocks = static_cast<unsigned>((elements + kThreads - 1) / kThreads);
  visit_storage(a.type, [&]<class T>() {
    add_to_rows_kernel<<<blocks, kThreads, 0, stream_of(stream)>>>(static_cast<T*>(a.c), static_cast<const T*>(a.bias),
                                                                   elements, a.columns);
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const BiasBackwardLaunch& a, StreamRef stream) {
  visit_storage(a.type, [&]<class T>() {
    const ElementTerm<T> term{static_cast<const T*>(a.d_out), a.columns};
    visit_storage(a.bias_type, [&]<class Out>() {
      add_column_sums(static_cast<Out*>(a.d_bias), a.rows, a.columns, term, a.scratch, stream);
    });
  });
}

}  // namespace timetrial::ops::cuda
