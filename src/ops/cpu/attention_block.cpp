// Element work of attention blocks: plain loops that vectorise, compiled per instruction set.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/attention_block.h"

#include <algorithm>
#include <cmath>

#include "ops/cpu/vector_math.h"

namespace timetrial::ops::cpu {

namespace {

constexpr int64_t kLanes = ScoreBlock::kLanes;

// Columns [begin, end) that a row sees, and the whole groups of lanes around them.
struct Visible {
  int64_t begin, end, group_begin, group_end;

  [[gnu::always_inline]] Visible(const ScoreBlock& scores, int64_t row)
      : begin(std::max<int64_t>(0, scores.offset + row + 1 - scores.window)),
        end(scores.offset + row + 1),
        group_begin(begin / kLanes * kLanes),
        group_end((end + kLanes - 1) / kLanes * kLanes) {}
  // Whether lane l of the group that starts at column j is seen; 32 bits, so that masks cost what floats cost.
  [[gnu::always_inline]] bool has(int64_t j, int32_t l) const {
    return l >= static_cast<int32_t>(begin - j) && l < static_cast<int32_t>(end - j);
  }
  // The lanes' own masked columns are cleared by who computes the lanes.
  [[gnu::always_inline]] void clear_outside(float* row, int64_t stride) const {
    std::fill(row, row + group_begin, 0.0f);
    std::fill(row + group_end, row + stride, 0.0f);
  }
};

}  // namespace

TIMETRIAL_MULTIVERSION void pack(float* packed, const float* tensor, int64_t stride, const PackedRows& shape,
                                 float scale) {
  for (int64_t g = 0; g < shape.heads; ++g)
    for (int64_t r = 0; r < shape.rows; ++r) {
      float* __restrict to = packed + (g * shape.rows + r) * shape.width;
      const float* __restrict from = tensor + r * stride + g * shape.width;
#pragma omp simd
      for (int64_t c = 0; c < shape.width; ++c) to[c] = scale * from[c];
    }
}

TIMETRIAL_MULTIVERSION void unpack(float* tensor, int64_t stride, const float* packed, const PackedRows& shape,
                                   const float* factors) {
  for (int64_t g = 0; g < shape.heads; ++g)
    for (int64_t r = 0; r < shape.rows; ++r) {
      const int64_t p = g * shape.rows + r;
      const float factor = factors ? factors[p] : 1;
      float* __restrict to = tensor + r * stride + g * shape.width;
      const float* __restrict from = packed + p * shape.width;
#pragma omp simd
      for (int64_t c = 0; c < shape.width; ++c) to[c] = factor * from[c];
    }
}

TIMETRIAL_MULTIVERSION void row_products(float* products, const float* packed, const float* tensor, int64_t stride,
                                         const PackedRows& shape) {
  for (int64_t g = 0; g < shape.heads; ++g)
    for (int64_t r = 0; r < shape.rows; ++r) {
      const int64_t p = g * shape.rows + r;
      const float *x = packed + p * shape.width, *y = tensor + r * stride + g * shape.width;
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t c = 0; c < shape.width; ++c) sum += x[c] * y[c];
      products[p] = sum;
    }
}

TIMETRIAL_MULTIVERSION void exponentiate(const ScoreBlock& scores, const float* sinks, float* most, float* sum) {
  for (int64_t g = 0; g < scores.heads; ++g)
    for (int64_t r = 0; r < scores.rows; ++r) {
      const int64_t p = g * scores.rows + r;
      const Visible see(scores, r);
      float* row = scores.data + p * scores.stride();
      const float sink = sinks ? sinks[g] : -INFINITY;

      float tops[kLanes];
      std::fill_n(tops, kLanes, sink);
      for (int64_t j = see.group_begin; j < see.group_end; j += kLanes)
#pragma omp simd
        for (int32_t l = 0; l < kLanes; ++l) {
          const float x = see.has(j, l) ? row[j + l] : -INFINITY;
          tops[l] = x > tops[l] ? x : tops[l];
        }
      for (int32_t half = kLanes / 2; half > 0; half /= 2)
        for (int32_t l = 0; l < half; ++l) tops[l] = tops[l + half] > tops[l] ? tops[l + half] : tops[l];
      const float top = tops[0];

      float totals[kLanes] = {};
      for (int64_t j = see.group_begin; j < see.group_end; j += kLanes)
#pragma omp simd
        for (int32_t l = 0; l < kLanes; ++l) {
          const float e = fast_exp(row[j + l] - top);
          row[j + l] = see.has(j, l) ? e : 0;
          totals[l] += row[j + l];
        }
      for (int32_t half = kLanes / 2; half > 0; half /= 2)
        for (int32_t l = 0; l < half; ++l) totals[l] += totals[l + half];
      see.clear_outside(row, scores.stride());
      most[p] = top;
      sum[p] = totals[0] + (sinks ? fast_exp(sink - top) : 0);
    }
}

TIMETRIAL_MULTIVERSION void score_gradients(const ScoreBlock& scores, float* d_scores, const float* lse,
                                            const float* delta) {
  for (int64_t g = 0; g < scores.heads; ++g)
    for (int64_t r = 0; r < scores.rows; ++r) {
      const int64_t p = g * scores.rows + r;
      const Visible see(scores, r);
      float* __restrict row = scores.data + p * scores.stride();
      float* __restrict d_row = d_scores + p * scores.stride();
      const float row_lse = lse[p], row_delta = delta[p];
      for (int64_t j = see.group_begin; j < see.group_end; j += kLanes)
#pragma omp simd
        for (int32_t l = 0; l < kLanes; ++l) {
          const float e = fast_exp(row[j + l] - row_lse), d = e * (d_row[j + l] - row_delta);
          row[j + l] = see.has(j, l) ? e : 0;
          d_row[j + l] = see.has(j, l) ? d : 0;
        }
      see.clear_outside(row, scores.stride());
      see.clear_outside(d_row, scores.stride());
    }
}

}  // namespace timetrial::ops::cpu
