// Columns copied by one block per row.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/columns_kernels.h"
#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

namespace {

template <class T>
struct Columns {
  T *whole, *left, *right;
  int64_t left_columns, right_columns;
};

template <class T, bool kJoin>
__global__ void columns_kernel(Columns<T> a) {
  const int64_t row = blockIdx.x, width = a.left_columns + a.right_columns;
  for (int64_t j = threadIdx.x; j < width; j += kRowThreads) {
    T* whole = a.whole + row * width + j;
    T* part =
        j < a.left_columns ? a.left + row * a.left_columns + j : a.right + row * a.right_columns + (j - a.left_columns);
    if (kJoin)
      *whole = *part;
    else
      *part = *whole;
  }
}

}  // namespace

void launch(const ColumnsLaunch& a, StreamRef stream) {
  if (a.rows == 0) return;
  const DeviceScope scope(stream.device.index);
  const auto blocks = static_cast<unsigned>(a.rows);
  visit_storage(a.type, [&]<class T>() {
    const Columns<T> columns{static_cast<T*>(a.whole), static_cast<T*>(a.left), static_cast<T*>(a.right),
                             a.left_columns, a.right_columns};
    if (a.join)
      columns_kernel<T, true><<<blocks, kRowThreads, 0, stream_of(stream)>>>(columns);
    else
      columns_kernel<T, false><<<blocks, kRowThreads, 0, stream_of(stream)>>>(columns);
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
