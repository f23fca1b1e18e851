// The element work of one attention block: packing of head rows, masked softmax, score gradients.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace timetrial::ops::cpu {

// Rows of several heads one head after the other: packed row g * rows + r is head g of query r.
struct PackedRows {
  int64_t heads, rows, width;
};
// In the tensor, row r starts at r * stride and holds its heads side by side.
void pack(float* packed, const float* tensor, int64_t stride, const PackedRows& shape, float scale);
// Each packed row times its factor; all 1 when `factors` is null.
void unpack(float* tensor, int64_t stride, const float* packed, const PackedRows& shape, const float* factors);
// products[p] = packed[p] . the tensor's row.
void row_products(float* products, const float* packed, const float* tensor, int64_t stride, const PackedRows& shape);

// Scores of packed rows against the keys of a block. Row r of each head sees `window` keys, the last being key
// `offset` + r; columns outside are garbage before and zero after the functions below.
struct ScoreBlock {
  static constexpr int64_t kLanes = 16;  // floats of the widest vector; rows are padded to whole vectors

  float* data;
  int64_t heads, rows, keys, offset, window;
  int64_t stride() const { return padded(keys); }
  static int64_t padded(int64_t keys) { return (keys + kLanes - 1) / kLanes * kLanes; }
};
// data = exp(data - most), most = the row's maximum with its head's sink, sum = the row's sum with the sink's share.
void exponentiate(const ScoreBlock& scores, const float* sinks, float* most, float* sum);
// data = P = exp(data - lse); d_scores, given as dP, becomes P (dP - delta).
void score_gradients(const ScoreBlock& scores, float* d_scores, const float* lse, const float* delta);

}  // namespace timetrial::ops::cpu
