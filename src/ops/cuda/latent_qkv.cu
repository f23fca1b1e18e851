// Latent attention: one block per row, adjacent pairs turned by the row's angles.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/latent_qkv_kernels.h"
#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

namespace {

template <class T>
struct Latent {
  T *qkv, *q, *kv, *key_rope;
  const float *cos, *sin;
  int64_t length, heads, nope, rope, value;
};

// The row's parts and the turn of one pair.
template <class T>
struct Row {
  T *qkv_q, *qkv_k, *qkv_v, *q, *kv, *key_rope;
  const float *cos, *sin;

  __device__ Row(const Latent<T>& a, int64_t row) {
    const int64_t d = a.nope + a.rope, query = a.heads * d;
    qkv_q = a.qkv + row * (2 * query + a.heads * a.value);
    qkv_k = qkv_q + query;
    qkv_v = qkv_k + query;
    q = a.q + row * query;
    kv = a.kv + row * a.heads * (a.nope + a.value);
    key_rope = a.key_rope + row * a.rope;
    cos = a.cos + row % a.length * (a.rope / 2);
    sin = a.sin + row % a.length * (a.rope / 2);
  }
  __device__ void turn(T* out, float even, float odd, int64_t pair, float direction) const {
    const float c = cos[pair], s = direction * sin[pair];
    store(out + 2 * pair, even * c - odd * s);
    store(out + 2 * pair + 1, odd * c + even * s);
  }
};

template <class T>
__global__ void forward_kernel(Latent<T> a) {
  const Row<T> r(a, blockIdx.x);
  const int64_t d = a.nope + a.rope, pairs = a.rope / 2, kv_head = a.nope + a.value;
  for (int64_t i = threadIdx.x; i < a.heads * a.nope; i += kRowThreads) {
    const int64_t h = i / a.nope, c = i % a.nope;
    r.qkv_q[h * d + c] = r.q[h * d + c];
    r.qkv_k[h * d + c] = r.kv[h * kv_head + c];
  }
  for (int64_t i = threadIdx.x; i < a.heads * a.value; i += kRowThreads) {
    const int64_t h = i / a.value, c = i % a.value;
    r.qkv_v[h * a.value + c] = r.kv[h * kv_head + a.nope + c];
  }
  for (int64_t i = threadIdx.x; i < a.heads * pairs; i += kRowThreads) {
    const int64_t h = i / pairs, p = i % pairs;
    const T* q = r.q + h * d + a.nope + 2 * p;
    r.turn(r.qkv_q + h * d + a.nope, load(q), load(q + 1), p, 1);
    r.turn(r.qkv_k + h * d + a.nope, load(r.key_rope + 2 * p), load(r.key_rope + 2 * p + 1), p, 1);
  }
}

template <class T>
__global__ void backward_kernel(Latent<T> a) {
  const Row<T> r(a, blockIdx.x);
  const int64_t d = a.nope + a.rope, pairs = a.rope / 2, kv_head = a.nope + a.value;
  for (int64_t i = threadIdx.x; i < a.heads * a.nope; i += kRowThreads) {
    const int64_t h = i / a.nope, c = i % a.nope;
    r.q[h * d + c] = r.qkv_q[h * d + c];
    r.kv[h * kv_head + c] = r.qkv_k[h * d + c];
  }
  for (int64_t i = threadIdx.x; i < a.heads * a.value; i += kRowThreads) {
    const int64_t h = i / a.value, c = i % a.value;
    r.kv[h * kv_head + a.nope + c] = r.qkv_v[h * a.value + c];
  }
  for (int64_t i = threadIdx.x; i < a.heads * pairs; i += kRowThreads) {
    const int64_t h = i / pairs, p = i % pairs;
    const T* q = r.qkv_q + h * d + a.nope + 2 * p;
    r.turn(r.q + h * d + a.nope, load(q), load(q + 1), p, -1);
  }
  for (int64_t p = threadIdx.x; p < pairs; p += kRowThreads) {
    float even = 0, odd = 0;
    for (int64_t h = 0; h < a.heads; ++h) {
      even += load(r.qkv_k + h * d + a.nope + 2 * p);
      odd += load(r.qkv_k + h * d + a.nope + 2 * p + 1);
    }
    r.turn(r.key_rope, even, odd, p, -1);
  }
}

}  // namespace

void launch(const LatentQkvLaunch& a, StreamRef stream) {
  if (a.rows == 0) return;
  const DeviceScope scope(stream.device.index);
  const auto blocks = static_cast<unsigned>(a.rows);
  visit_storage(a.type, [&]<class T>() {
    const Latent<T> latent{static_cast<T*>(a.qkv),
                           static_cast<T*>(a.q),
                           static_cast<T*>(a.kv),
                           static_cast<T*>(a.key_rope),
                           a.cos,
                           a.sin,
                           a.length,
                           a.heads,
                           a.nope_dim,
                           a.rope_dim,
                           a.value_dim};
    if (a.backward)
      backward_kernel<T><<<blocks, kRowThreads, 0, stream_of(stream)>>>(latent);
    else
      forward_kernel<T><<<blocks, kRowThreads, 0, stream_of(stream)>>>(latent);
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
