// Element work of attention blocks: plain loops that vectorise, compiled per instruction set.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/attention_block.h"

#include <algorithm>
#include <cmath>

#include "ops/cpu/vector_math.h"

namespace timetrial::ops::cpu {

namespace {

// Columns [begin, end) that a row sees.
struct Visible {
  int64_t begin, end;
};
[[gnu::always_inline]] inline Visible visible(const ScoreBlock& scores, int64_t row) {
  const int64_t end = scores.offset + row % scores.rows + 1;
  return {std::max<int64_t>(0, end - scores.window), end};
}

[[gnu::always_inline]] inline void clear_masked(float* row, Visible see, int64_t keys) {
  std::fill(row, row + see.begin, 0.0f);
  std::fill(row + see.end, row + keys, 0.0f);
}

}  // namespace

void pack(float* packed, const float* tensor, int64_t stride, const PackedRows& shape, float scale) {
  for (int64_t g = 0; g < shape.heads; ++g)
    for (int64_t r = 0; r < shape.rows; ++r) {
      float* __restrict to = packed + (g * shape.rows + r) * shape.width;
      const float* __restrict from = tensor + r * stride + g * shape.width;
#pragma omp simd
      for (int64_t c = 0; c < shape.width; ++c) to[c] = scale * from[c];
    }
}

void unpack(float* tensor, int64_t stride, const float* packed, const PackedRows& shape, const float* factors) {
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

void row_products(float* products, const float* packed, const float* tensor, int64_t stride, const PackedRows& shape) {
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
  for (int64_t p = 0; p < scores.heads * scores.rows; ++p) {
    float* row = scores.data + p * scores.keys;
    const Visible see = visible(scores, p);
    const float sink = sinks ? sinks[p / scores.rows] : -INFINITY;
    float top = sink;
#pragma omp simd reduction(max : top)
    for (int64_t j = see.begin; j < see.end; ++j) top = row[j] > top ? row[j] : top;
    float total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t j = see.begin; j < see.end; ++j) {
      row[j] = fast_exp(row[j] - top);
      total += row[j];
    }
    clear_masked(row, see, scores.keys);
    most[p] = top;
    sum[p] = sinks ? total + fast_exp(sink - top) : total;
  }
}

TIMETRIAL_MULTIVERSION void score_gradients(const ScoreBlock& scores, float* d_scores, const float* lse,
                                            const float* delta) {
  for (int64_t p = 0; p < scores.heads * scores.rows; ++p) {
    float* __restrict row = scores.data + p * scores.keys;
    float* __restrict d_row = d_scores + p * scores.keys;
    const Visible see = visible(scores, p);
    const float row_lse = lse[p], row_delta = delta[p];
#pragma omp simd
    for (int64_t j = see.begin; j < see.end; ++j) {
      row[j] = fast_exp(row[j] - row_lse);
      d_row[j] = row[j] * (d_row[j] - row_delta);
    }
    clear_masked(row, see, scores.keys);
    clear_masked(d_row, see, scores.keys);
  }
}

}  // namespace timetrial::ops::cpu
