// QK-norm kernels: a block per row, a warp per head; the weight gradients are column sums over rows.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/column_sum.cuh"
#include "ops/cuda/head_norm_kernels.h"
#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

namespace {

constexpr int kWarps = kRowThreads / 32;

// What no head owns, from `in` to `out`.
template <class T>
__device__ void copy_rest(T* out, const T* in, const HeadRows& s) {
  for (int64_t j = s.normed_heads * s.head_dim + threadIdx.x; j < s.width; j += kRowThreads) out[j] = in[j];
}

template <class T>
__global__ void forward_kernel(HeadNormForwardLaunch a) {
  const HeadRows& s = a.shape;
  const int64_t row = blockIdx.x, lane = threadIdx.x % 32;
  const T* x_row = static_cast<const T*>(a.x) + row * s.width;
  T* out_row = static_cast<T*>(a.out) + row * s.width;
  for (int64_t head = threadIdx.x / 32; head < s.normed_heads; head += kWarps) {
    const T* x = x_row + head * s.head_dim;
    const T* weight = static_cast<const T*>(head < s.query_heads ? a.q_weight : a.k_weight);
    float squares = 0;
    for (int64_t j = lane; j < s.head_dim; j += 32) squares += load(x + j) * load(x + j);
    const float rstd = 1.0f / sqrtf(warp_sum(squares) / static_cast<float>(s.head_dim) + a.epsilon);
    if (lane == 0) a.rstd[row * s.normed_heads + head] = rstd;
    for (int64_t j = lane; j < s.head_dim; j += 32)
      store(out_row + head * s.head_dim + j, load(weight + j) * (load(x + j) * rstd));
  }
  copy_rest(out_row, x_row, s);
}

template <class T>
__global__ void backward_input_kernel(HeadNormBackwardInputLaunch a) {
  const HeadRows& s = a.shape;
  const int64_t row = blockIdx.x, lane = threadIdx.x % 32;
  const T *x_row = static_cast<const T*>(a.x) + row * s.width, *d_row = static_cast<const T*>(a.d_out) + row * s.width;
  T* d_x_row = static_cast<T*>(a.d_x) + row * s.width;
  for (int64_t head = threadIdx.x / 32; head < s.normed_heads; head += kWarps) {
    const T *x = x_row + head * s.head_dim, *d_out = d_row + head * s.head_dim;
    const T* weight = static_cast<const T*>(head < s.query_heads ? a.q_weight : a.k_weight);
    const float rstd = a.rstd[row * s.normed_heads + head];
    float product = 0;
    for (int64_t j = lane; j < s.head_dim; j += 32) product += load(weight + j) * load(d_out + j) * load(x + j);
    const float factor = rstd * rstd * rstd * (warp_sum(product) / static_cast<float>(s.head_dim));
    for (int64_t j = lane; j < s.head_dim; j += 32)
      store(d_x_row + head * s.head_dim + j, rstd * (load(weight + j) * load(d_out + j)) - load(x + j) * factor);
  }
  copy_rest(d_x_row, d_row, s);
}

// A row's part of the weight gradient of one kind of heads.
template <class T>
struct WeightTerm {
  const T *d_out, *x;
  const float* rstd;
  HeadRows shape;
  int64_t first_head, heads;
  __device__ float operator()(int64_t row, int64_t column) const {
    const int64_t begin = row * shape.width + first_head * shape.head_dim + column;
    const float* row_rstd = rstd + row * shape.normed_heads + first_head;
    float sum = 0;
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t i = begin + head * shape.head_dim;
      sum += load(d_out + i) * (load(x + i) * row_rstd[head]);
    }
    return sum;
  }
};

}  // namespace

void launch(const HeadNormForwardLaunch& a, StreamRef stream) {
  if (a.shape.rows == 0) return;
  const DeviceScope scope(stream.device.index);
  visit_storage(a.shape.type, [&]<class T>() {
    forward_kernel<T><<<static_cast<unsigned>(a.shape.rows), kRowThreads, 0, stream_of(stream)>>>(a);
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const HeadNormBackwardInputLaunch& a, StreamRef stream) {
  if (a.shape.rows == 0) return;
  const DeviceScope scope(stream.device.index);
  visit_storage(a.shape.type, [&]<class T>() {
    backward_input_kernel<T><<<static_cast<unsigned>(a.shape.rows), kRowThreads, 0, stream_of(stream)>>>(a);
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const HeadNormBackwardWeightLaunch& a, StreamRef stream) {
  const HeadRows& s = a.shape;
  visit_storage(s.type, [&]<class T>() {
    WeightTerm<T> term{static_cast<const T*>(a.d_out), static_cast<const T*>(a.x), a.rstd, s, 0, s.query_heads};
    add_column_sums(a.d_q_weight, s.rows, s.head_dim, term, a.scratch, stream);
    term.first_head = s.query_heads;
    term.heads = s.normed_heads - s.query_heads;
    add_column_sums(a.d_k_weight, s.rows, s.head_dim, term, a.scratch, stream);
  });
}

}  // namespace timetrial::ops::cuda
