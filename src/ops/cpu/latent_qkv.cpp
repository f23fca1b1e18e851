// Copies per head with adjacent pairs turned; backward gathers the shared rotary key over heads.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/latent_qkv.h"

#include <algorithm>

#include "ops/cpu/parallel.h"

namespace timetrial::ops::cpu {

namespace {

// The angles of one row; direction 1 turns, -1 turns back.
template <class T>
struct Turn {
  const T *cosines, *sines;
  int64_t pairs;
  T direction;

  void operator()(T* out, const T* in) const {
    for (int64_t i = 0; i < pairs; ++i) {
      const T c = cosines[i], s = direction * sines[i], even = in[2 * i], odd = in[2 * i + 1];
      out[2 * i] = even * c - odd * s;
      out[2 * i + 1] = odd * c + even * s;
    }
  }
};

template <class T>
Turn<T> turn_of(const Tensor& cos, const Tensor& sin, int64_t row, T direction) {
  const int64_t length = cos.dim(0), pairs = cos.dim(1), at = row % length * pairs;
  return {cos.data<T>() + at, sin.data<T>() + at, pairs, direction};
}

}  // namespace

template <class T>
void latent_qkv_forward(const LatentQkvForward& a) {
  const LatentShape s = a.shape;
  const int64_t d = s.head_dim(), kv_head = s.nope_dim + s.value_dim;
  const T *q = a.q.data<T>(), *kv = a.kv.data<T>(), *key_rope = a.key_rope.data<T>();
  T* qkv = a.qkv.data<T>();
  parallel_ranges(a.qkv.dim(0), s.qkv_width(), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const Turn<T> turn = turn_of<T>(a.cos, a.sin, row, 1);
      T *out_q = qkv + row * s.qkv_width(), *out_k = out_q + s.query_width(), *out_v = out_k + s.query_width();
      for (int64_t h = 0; h < s.heads; ++h) {
        const T *in_q = q + row * s.query_width() + h * d, *in_kv = kv + row * s.key_value_width() + h * kv_head;
        std::copy_n(in_q, s.nope_dim, out_q + h * d);
        turn(out_q + h * d + s.nope_dim, in_q + s.nope_dim);
        std::copy_n(in_kv, s.nope_dim, out_k + h * d);
        turn(out_k + h * d + s.nope_dim, key_rope + row * s.rope_dim);
        std::copy_n(in_kv + s.nope_dim, s.value_dim, out_v + h * s.value_dim);
      }
    }
  });
}

template <class T>
void latent_qkv_backward(const LatentQkvBackward& a) {
  const LatentShape s = a.shape;
  const int64_t d = s.head_dim(), kv_head = s.nope_dim + s.value_dim;
  const T* d_qkv = a.d_qkv.data<T>();
  T *d_q = a.d_q.data<T>(), *d_kv = a.d_kv.data<T>(), *d_key_rope = a.d_key_rope.data<T>();
  parallel_ranges(a.d_qkv.dim(0), s.qkv_width(), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const Turn<T> turn_back = turn_of<T>(a.cos, a.sin, row, -1);
      const T *in_q = d_qkv + row * s.qkv_width(), *in_k = in_q + s.query_width(), *in_v = in_k + s.query_width();
      T* key = d_key_rope + row * s.rope_dim;
      std::fill_n(key, s.rope_dim, T{0});
      for (int64_t h = 0; h < s.heads; ++h) {
        T *out_q = d_q + row * s.query_width() + h * d, *out_kv = d_kv + row * s.key_value_width() + h * kv_head;
        std::copy_n(in_q + h * d, s.nope_dim, out_q);
        turn_back(out_q + s.nope_dim, in_q + h * d + s.nope_dim);
        std::copy_n(in_k + h * d, s.nope_dim, out_kv);
        std::copy_n(in_v + h * s.value_dim, s.value_dim, out_kv + s.nope_dim);
        for (int64_t c = 0; c < s.rope_dim; ++c) key[c] += in_k[h * d + s.nope_dim + c];
      }
      turn_back(key, key);  // one turn back of the sum: all heads turned by the same angles
    }
  });
}

template void latent_qkv_forward<float>(const LatentQkvForward&);
template void latent_qkv_forward<double>(const LatentQkvForward&);
template void latent_qkv_backward<float>(const LatentQkvBackward&);
template void latent_qkv_backward<double>(const LatentQkvBackward&);

}  // namespace timetrial::ops::cpu
