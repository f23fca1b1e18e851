// RMSNorm kernels: one block per row for the rows, one block per 32 columns for the weight gradient.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/column_sum.cuh"
#include "ops/cuda/rms_norm_kernels.h"
#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

namespace {

template <class T>
__global__ void forward_kernel(T* out, float* rstd, const T* x, const T* weight, int64_t columns, float epsilon) {
  const int64_t row = blockIdx.x;
  const T* x_row = x + row * columns;
  float squares = 0;
  for (int64_t j = threadIdx.x; j < columns; j += kRowThreads) {
    const float value = load(x_row + j);
    squares += value * value;
  }
  const float r = 1.0f / sqrtf(block_sum(squares) / static_cast<float>(columns) + epsilon);
  if (threadIdx.x == 0) rstd[row] = r;
  for (int64_t j = threadIdx.x; j < columns; j += kRowThreads)
    store(out + row * columns + j, load(weight + j) * (load(x_row + j) * r));
}

template <class T>
__global__ void backward_input_kernel(T* d_x, const T* d_out, const T* x, const float* rstd, const T* weight,
                                      int64_t columns) {
  const int64_t row = blockIdx.x, begin = row * columns;
  float product = 0;
  for (int64_t j = threadIdx.x; j < columns; j += kRowThreads)
    product += load(weight + j) * load(d_out + begin + j) * load(x + begin + j);
  const float r = rstd[row];
  const float factor = r * r * r * (block_sum(product) / static_cast<float>(columns));
  for (int64_t j = threadIdx.x; j < columns; j += kRowThreads)
    store(d_x + begin + j, r * (load(weight + j) * load(d_out + begin + j)) - load(x + begin + j) * factor);
}

template <class T>
struct WeightTerm {
  const T *d_out, *x;
  const float* rstd;
  int64_t columns;
  __device__ float operator()(int64_t row, int64_t column) const {
    const int64_t i = row * columns + column;
    return load(d_out + i) * (load(x + i) * rstd[row]);
  }
};

}  // namespace

void launch(const RmsNormForwardLaunch& a, StreamRef stream) {
  if (a.rows == 0) return;
  const DeviceScope scope(stream.device.index);
  visit_storage(a.type, [&]<class T>() {
    forward_kernel<<<static_cast<unsigned>(a.rows), kRowThreads, 0, stream_of(stream)>>>(
        static_cast<T*>(a.out), a.rstd, static_cast<const T*>(a.x), static_cast<const T*>(a.weight), a.columns,
        a.epsilon);
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const RmsNormBackwardInputLaunch& a, StreamRef stream) {
  if (a.rows == 0) return;
  const DeviceScope scope(stream.device.index);
  visit_storage(a.type, [&]<class T>() {
    backward_input_kernel<<<static_cast<unsigned>(a.rows), kRowThreads, 0, stream_of(stream)>>>(
        static_cast<T*>(a.d_x), static_cast<const T*>(a.d_out), static_cast<const T*>(a.x), a.rstd,
        static_cast<const T*>(a.weight), a.columns);
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const RmsNormBackwardWeightLaunch& a, StreamRef stream) {
  visit_storage(a.type, [&]<class T>() {
    const WeightTerm<T> term{static_cast<const T*>(a.d_out), static_cast<const T*>(a.x), a.rstd, a.columns};
    visit_storage(a.weight_type, [&]<class Out>() {
      add_column_sums(static_cast<Out*>(a.d_weight), a.rows, a.columns, term, {}, stream);
    });
  });
}

}  // namespace timetrial::ops::cuda
