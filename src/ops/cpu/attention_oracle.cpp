// Attention in double straight from the formulas of spec 2: one query at a time, scores recomputed, nothing stored.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "ops/cpu/attention.h"

namespace timetrial::ops::cpu {

namespace {

// Addresses inside the [q | k | v] rows of one batch.
struct Heads {
  const AttentionShape& shape;
  const double* qkv;
  int64_t batch;

  int64_t kv_head(int64_t head) const { return head / (shape.heads / shape.kv_heads); }
  int64_t row(int64_t t) const { return (batch * shape.length + t) * shape.qkv_width(); }
  int64_t q_at(int64_t t, int64_t head) const { return row(t) + head * shape.head_dim; }
  int64_t k_at(int64_t t, int64_t kv) const { return row(t) + (shape.heads + kv) * shape.head_dim; }
  int64_t v_at(int64_t t, int64_t kv) const {
    return row(t) + (shape.heads + shape.kv_heads) * shape.head_dim + kv * shape.value_dim();
  }
  int64_t first_key(int64_t t) const {
    return shape.window_keys == 0 ? 0 : std::max<int64_t>(0, t - shape.window_keys + 1);
  }

  double score(int64_t query, int64_t key, int64_t head) const {
    const double *q = qkv + q_at(query, head), *k = qkv + k_at(key, kv_head(head));
    double sum = 0;
    for (int64_t c = 0; c < shape.head_dim; ++c) sum += q[c] * k[c];
    return shape.scale * sum;
  }
};

}  // namespace

template <>
void attention_forward<double>(const AttentionForward& a) {
  const AttentionShape& s = a.shape;
  const double *qkv = a.qkv.data<double>(), *sinks = a.sinks ? a.sinks.data<double>() : nullptr;
  double *out = a.out.data<double>(), *lse = a.lse.data<double>();
  const int64_t width = s.value_dim();
#pragma omp parallel for collapse(2) schedule(dynamic)
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t h = 0; h < s.heads; ++h) {
      const Heads heads = {s, qkv, b};
      for (int64_t i = 0; i < s.length; ++i) {
        double most = sinks ? sinks[h] : -INFINITY;
        for (int64_t j = heads.first_key(i); j <= i; ++j) most = std::max(most, heads.score(i, j, h));
        double sum = sinks ? std::exp(sinks[h] - most) : 0;
        double* o = out + ((b * s.length + i) * s.heads + h) * width;
        std::fill_n(o, width, 0.0);
        for (int64_t j = heads.first_key(i); j <= i; ++j) {
          const double p = std::exp(heads.score(i, j, h) - most);
          const double* v = qkv + heads.v_at(j, heads.kv_head(h));
          sum += p;
          for (int64_t c = 0; c < width; ++c) o[c] += p * v[c];
        }
        for (int64_t c = 0; c < width; ++c) o[c] /= sum;
        lse[(b * s.heads + h) * s.length + i] = most + std::log(sum);
      }
    }
}

template <>
void attention_backward<double>(const AttentionBackward& a) {
  const AttentionShape& s = a.shape;
  const double *qkv = a.qkv.data<double>(), *out = a.out.data<double>(), *d_out = a.d_out.data<double>(),
               *lse = a.lse.data<double>();
  double* d_qkv = a.d_qkv.data<double>();
  const int64_t group = s.heads / s.kv_heads, width = s.value_dim();
  const auto delta_of = [&](int64_t b, int64_t h, int64_t i) {
    const int64_t at = ((b * s.length + i) * s.heads + h) * width;
    double delta = 0;
    for (int64_t c = 0; c < width; ++c) delta += out[at + c] * d_out[at + c];
    return delta;
  };

  std::fill_n(d_qkv, a.d_qkv.elements(), 0.0);
#pragma omp parallel for collapse(2) schedule(dynamic)
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t kv = 0; kv < s.kv_heads; ++kv) {
      const Heads heads = {s, qkv, b};
      for (int64_t h = kv * group; h < (kv + 1) * group; ++h)
        for (int64_t i = 0; i < s.length; ++i) {
          const double* d_o = d_out + ((b * s.length + i) * s.heads + h) * width;
          const double delta = delta_of(b, h, i);
          for (int64_t j = heads.first_key(i); j <= i; ++j) {
            const int64_t q = heads.q_at(i, h), k = heads.k_at(j, kv), v = heads.v_at(j, kv);
            const double p = std::exp(heads.score(i, j, h) - lse[(b * s.heads + h) * s.length + i]);
            double d_p = 0;
            for (int64_t c = 0; c < width; ++c) d_p += d_o[c] * qkv[v + c];
            const double d_score = p * (d_p - delta);
            for (int64_t c = 0; c < width; ++c) d_qkv[v + c] += p * d_o[c];
            for (int64_t c = 0; c < s.head_dim; ++c) {
              d_qkv[q + c] += s.scale * d_score * qkv[k + c];
              d_qkv[k + c] += s.scale * d_score * qkv[q + c];
            }
          }
        }
    }

  if (!a.d_sinks) return;
  for (int64_t h = 0; h < s.heads; ++h) {
    double sum = 0;
    for (int64_t b = 0; b < s.batch; ++b)
      for (int64_t i = 0; i < s.length; ++i)
        sum += std::exp(a.sinks.data<double>()[h] - lse[(b * s.heads + h) * s.length + i]) * delta_of(b, h, i);
    a.d_sinks.data<double>()[h] = -sum;
  }
}

}  // namespace timetrial::ops::cpu
