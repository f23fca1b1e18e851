// Attention in fp32: blocks of query rows, all heads of a kv group packed together, against the keys they can see.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/attention.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "ops/cpu/attention_block.h"
#include "ops/cpu/sgemm.h"

namespace timetrial::ops::cpu {

namespace {

constexpr size_t kLine = 64;  // bytes; no two threads share a cache line of scratch

size_t round_up(size_t bytes) { return (bytes + kLine - 1) / kLine * kLine; }

// How the work is cut, and what scratch one block needs.
struct Plan {
  int64_t group, window;  // query heads per kv head, keys a query sees at most
  int64_t rows, blocks;   // query rows of a block, blocks of a sequence
  int64_t packed, keys;   // at most: packed rows (all heads of the group), keys of a block with padding

  explicit Plan(const AttentionShape& s)
      : group(s.heads / s.kv_heads), window(s.window_keys == 0 ? s.length : std::min(s.window_keys, s.length)) {
    // Enough packed rows for the library to run well, few enough that the scores of a block stay in the cache and that
    // little work falls on masked keys.
    constexpr int64_t kPackedRows = 256, kScores = 65536, kFewestRows = 8;
    rows = std::clamp<int64_t>(kPackedRows / group, kFewestRows, 64);
    while (rows > kFewestRows && group * rows * std::min(s.length, rows + window - 1) > kScores) rows /= 2;
    rows = std::min(rows, s.length);
    blocks = (s.length + rows - 1) / rows;
    packed = group * rows;
    keys = ScoreBlock::padded(std::min(s.length, rows + window - 1));
  }
  // Backward needs more than forward: q, d_out, d_q; scores, d_scores; lse, delta.
  size_t bytes_per_thread(const AttentionShape& s) const {
    return round_up(static_cast<size_t>(packed * (2 * s.head_dim + s.value_dim() + 2 * keys + 2)) * sizeof(float));
  }
  static size_t sink_bytes(const AttentionShape& s) {
    return round_up(static_cast<size_t>(s.batch * s.heads) * sizeof(double));
  }
};

// The caller's scratch: one double per batch and head, then a part per thread.
class Scratch {
 public:
  Scratch(const Tensor& workspace, const AttentionShape& s, const Plan& plan)
      : base_(reinterpret_cast<std::byte*>(round_up(reinterpret_cast<uintptr_t>(workspace.raw())))),
        sink_bytes_(Plan::sink_bytes(s)),
        thread_bytes_(plan.bytes_per_thread(s)) {}
  double* sink_sums() const { return reinterpret_cast<double*>(base_); }
  float* mine() const {
    return reinterpret_cast<float*>(base_ + sink_bytes_ + thread_bytes_ * static_cast<size_t>(omp_get_thread_num()));
  }

 private:
  std::byte* base_;
  size_t sink_bytes_, thread_bytes_;
};

// One block: query rows [first, first + rows) of one sequence and kv head, and the keys that any of them sees.
struct Block {
  int64_t row, rows;      // in the tensors' rows, batch included
  int64_t first;          // position in the sequence of the first query
  int64_t key_row, keys;  // first key as a tensor row
  int64_t first_key;      // its position in the sequence
  int64_t stride;         // of the scores
  int64_t head, packed;   // first query head; rows * group

  Block(const AttentionShape& s, const Plan& plan, int64_t batch, int64_t kv, int64_t index)
      : first(index * plan.rows), head(kv * plan.group) {
    rows = std::min(plan.rows, s.length - first);
    first_key = std::max<int64_t>(0, first - plan.window + 1);
    keys = first + rows - first_key;
    row = batch * s.length + first;
    key_row = batch * s.length + first_key;
    packed = rows * plan.group;
    stride = ScoreBlock::padded(keys);
  }
  ScoreBlock scores(float* data, const Plan& plan) const {
    return {data, plan.group, rows, keys, first - first_key, plan.window};
  }
};

// The strided parts of qkv (or d_qkv) that a block touches.
template <class T>
struct Parts {
  T *q, *k, *v;
  int64_t stride;

  Parts(T* qkv, const AttentionShape& s, const Plan& plan, const Block& b)
      : q(qkv + b.row * s.qkv_width() + b.head * s.head_dim),
        k(qkv + b.key_row * s.qkv_width() + (s.heads + b.head / plan.group) * s.head_dim),
        v(qkv + b.key_row * s.qkv_width() + (s.heads + s.kv_heads) * s.head_dim + b.head / plan.group * s.value_dim()),
        stride(s.qkv_width()) {}
};

}  // namespace

size_t attention_workspace_bytes(const AttentionShape& shape, DType dtype) {
  if (dtype == DType::f64) return 0;
  const Plan plan(shape);
  const auto threads = static_cast<size_t>(omp_get_max_threads());
  return kLine + Plan::sink_bytes(shape) + threads * plan.bytes_per_thread(shape);
}

template <>
void attention_forward<float>(const AttentionForward& a) {
  const AttentionShape& s = a.shape;
  const Plan plan(s);
  const Scratch scratch(a.workspace, s, plan);
  const float *qkv = a.qkv.data<float>(), *sinks = a.sinks ? a.sinks.data<float>() : nullptr;
  float *out = a.out.data<float>(), *lse = a.lse.data<float>();
  const int64_t out_stride = s.out_width(), dv = s.value_dim();
  std::atomic<bool> refused = false;
#pragma omp parallel for collapse(3) schedule(dynamic)
  for (int64_t batch = 0; batch < s.batch; ++batch)
    for (int64_t kv = 0; kv < s.kv_heads; ++kv)
      for (int64_t index = 0; index < plan.blocks; ++index) {
        const Block b(s, plan, batch, kv, index);
        const Parts<const float> in(qkv, s, plan, b);
        float *q = scratch.mine(), *o = q + b.packed * s.head_dim, *score = o + b.packed * dv;
        float *most = score + b.packed * b.stride, *sum = most + b.packed;
        const PackedRows rows = {plan.group, b.rows, s.head_dim}, out_rows = {plan.group, b.rows, dv};

        pack(q, in.q, in.stride, rows, static_cast<float>(s.scale));
        bool done = sgemm({.c = score,
                           .c_stride = b.stride,
                           .a = {q, s.head_dim},
                           .b = {in.k, in.stride, true},
                           .m = b.packed,
                           .n = b.keys,
                           .k = s.head_dim});
        exponentiate(b.scores(score, plan), sinks ? sinks + b.head : nullptr, most, sum);
        done = sgemm({.c = o,
                      .c_stride = dv,
                      .a = {score, b.stride},
                      .b = {in.v, in.stride},
                      .m = b.packed,
                      .n = dv,
                      .k = b.keys}) &&
               done;
        if (!done) refused = true;
        for (int64_t g = 0; g < plan.group; ++g) {
          float* lse_row = lse + (batch * s.heads + b.head + g) * s.length + b.first;
          for (int64_t r = 0; r < b.rows; ++r) lse_row[r] = most[g * b.rows + r] + std::log(sum[g * b.rows + r]);
        }
        for (int64_t p = 0; p < b.packed; ++p) sum[p] = 1 / sum[p];
        unpack(out + b.row * out_stride + b.head * dv, out_stride, o, out_rows, sum);
      }
  TIMETRIAL_CHECK(!refused, "the matrix library refused a product of attention over qkv {}", a.qkv.shape());
}

template <>
void attention_backward<float>(const AttentionBackward& a) {
  const AttentionShape& s = a.shape;
  const Plan plan(s);
  const Scratch scratch(a.workspace, s, plan);
  const float *qkv = a.qkv.data<float>(), *out = a.out.data<float>(), *d_out = a.d_out.data<float>();
  const float *all_lse = a.lse.data<float>(), *sinks = a.d_sinks ? a.sinks.data<float>() : nullptr;
  float* d_qkv = a.d_qkv.data<float>();
  const int64_t out_stride = s.out_width(), d = s.head_dim, dv = s.value_dim();
  std::atomic<bool> refused = false;
  // Keys and values collect from several blocks, so one thread does all blocks of a kv head, in order.
#pragma omp parallel for collapse(2) schedule(dynamic)
  for (int64_t batch = 0; batch < s.batch; ++batch)
    for (int64_t kv = 0; kv < s.kv_heads; ++kv) {
      double* sink_sums = scratch.sink_sums() + batch * s.heads + kv * plan.group;
      std::fill_n(sink_sums, plan.group, 0.0);
      const Parts<float> whole(d_qkv, s, plan, Block(s, plan, batch, kv, 0));
      for (int64_t t = 0; t < s.length; ++t) {
        std::fill_n(whole.k + t * whole.stride, d, 0.0f);
        std::fill_n(whole.v + t * whole.stride, dv, 0.0f);
      }
      for (int64_t index = 0; index < plan.blocks; ++index) {
        const Block b(s, plan, batch, kv, index);
        const Parts<const float> in(qkv, s, plan, b);
        const Parts<float> grad(d_qkv, s, plan, b);
        float *q = scratch.mine(), *d_o = q + b.packed * d, *d_q = d_o + b.packed * dv, *p = d_q + b.packed * d;
        float *d_score = p + b.packed * b.stride, *lse = d_score + b.packed * b.stride, *delta = lse + b.packed;
        const PackedRows rows = {plan.group, b.rows, d}, out_rows = {plan.group, b.rows, dv};
        const int64_t out_at = b.row * out_stride + b.head * dv;

        pack(q, in.q, in.stride, rows, static_cast<float>(s.scale));
        pack(d_o, d_out + out_at, out_stride, out_rows, 1);
        row_products(delta, d_o, out + out_at, out_stride, out_rows);
        for (int64_t g = 0; g < plan.group; ++g)
          std::copy_n(all_lse + (batch * s.heads + b.head + g) * s.length + b.first, b.rows, lse + g * b.rows);

        bool done = sgemm({.c = p,
                           .c_stride = b.stride,
                           .a = {q, d},
                           .b = {in.k, in.stride, true},
                           .m = b.packed,
                           .n = b.keys,
                           .k = d});
        done = sgemm({.c = d_score,
                      .c_stride = b.stride,
                      .a = {d_o, dv},
                      .b = {in.v, in.stride, true},
                      .m = b.packed,
                      .n = b.keys,
                      .k = dv}) &&
               done;
        score_gradients(b.scores(p, plan), d_score, lse, delta);
        done = sgemm({.c = grad.v,
                      .c_stride = grad.stride,
                      .a = {p, b.stride, true},
                      .b = {d_o, dv},
                      .m = b.keys,
                      .n = dv,
                      .k = b.packed,
                      .beta = 1}) &&
               done;
        // q carries the scale already.
        done = sgemm({.c = grad.k,
                      .c_stride = grad.stride,
                      .a = {d_score, b.stride, true},
                      .b = {q, d},
                      .m = b.keys,
                      .n = d,
                      .k = b.packed,
                      .beta = 1}) &&
               done;
        done = sgemm({.c = d_q,
                      .c_stride = d,
                      .a = {d_score, b.stride},
                      .b = {in.k, in.stride},
                      .m = b.packed,
                      .n = d,
                      .k = b.keys,
                      .alpha = static_cast<float>(s.scale)}) &&
               done;
        if (!done) refused = true;
        unpack(grad.q, grad.stride, d_q, rows, nullptr);
        for (int64_t g = 0; sinks && g < plan.group; ++g)
          for (int64_t r = g * b.rows; r < (g + 1) * b.rows; ++r)
            sink_sums[g] += std::exp(sinks[b.head + g] - lse[r]) * delta[r];
      }
    }
  TIMETRIAL_CHECK(!refused, "the matrix library refused a product of attention over qkv {}", a.qkv.shape());

  for (int64_t h = 0; sinks && h < s.heads; ++h) {
    double sum = 0;
    for (int64_t batch = 0; batch < s.batch; ++batch) sum += scratch.sink_sums()[batch * s.heads + h];
    a.d_sinks.data<float>()[h] = static_cast<float>(-sum);
  }
}

}  // namespace timetrial::ops::cpu
