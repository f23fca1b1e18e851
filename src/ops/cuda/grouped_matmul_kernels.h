// Launchers of the grouped product kernels: plain pointers to device memory. Types are f32 or bf16. Expert e owns rows
// [expert_begin[e], expert_begin[e + 1]). SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

struct GroupedMatmulLaunch {
  void* c;                  // (rows, n); rows of no expert stay as they are
  const void *a, *b;        // (rows, k), (experts, n, k) or (experts, k, n)
  const void* bias;         // (experts, n) or null
  const float* bias_scale;  // (rows) or null: 1
  const int32_t* expert_begin;
  int64_t rows, n, k, experts;
  bool transpose_b;  // b is (experts, n, k)
  DType type;
};
void launch(const GroupedMatmulLaunch& a, StreamRef stream);

struct GroupedMatmulBackwardWeightLaunch {
  void* d_weight;       // (experts, n, k), accumulated
  const void *d_c, *a;  // (rows, n), (rows, k)
  const int32_t* expert_begin;
  int64_t n, k, experts;
  DType type, weight_type;
};
void launch(const GroupedMatmulBackwardWeightLaunch& a, StreamRef stream);

struct GroupedBiasBackwardLaunch {
  void* d_bias;             // (experts, n), accumulated
  const void* d_c;          // (rows, n)
  const float* bias_scale;  // (rows) or null: 1
  const int32_t* expert_begin;
  int64_t n, experts;
  DType type, bias_type;
};
void launch(const GroupedBiasBackwardLaunch& a, StreamRef stream);

struct GroupedBiasScaleBackwardLaunch {
  float* d_scale;          // (rows), accumulated
  const void *d_c, *bias;  // (rows, n), (experts, n)
  const int32_t* expert_begin;
  int64_t rows, n, experts;
  DType type;
};
void launch(const GroupedBiasScaleBackwardLaunch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
