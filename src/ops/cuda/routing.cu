// Routing kernels: a thread per token chooses, a block per row copies or combines, a thread per scalar puts it back.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/for_each.cuh"
#include "ops/cuda/routing_kernels.h"

namespace timetrial::ops::cuda {

namespace {

// NaN ranks above every number, so that ids stay valid and the gates show it.
__device__ bool ranks_above(float a, float b) { return a > b || (isnan(a) && !isnan(b)); }

// The outputs hold the best so far in descending order; a later equal logit never overtakes.
template <class T>
struct RouteToken {
  RouteForwardLaunch a;
  __device__ void operator()(int64_t token) const {
    const T* logits = static_cast<const T*>(a.logits) + token * a.experts;
    float* value = a.gate + token * a.choices;
    int32_t* id = a.expert + token * a.choices;
    for (int64_t e = 0; e < a.experts; ++e) {
      const float logit = load(logits + e);
      if (e >= a.choices && !ranks_above(logit, value[a.choices - 1])) continue;
      int64_t place = e < a.choices ? e : a.choices - 1;
      for (; place > 0 && ranks_above(logit, value[place - 1]); --place) {
        value[place] = value[place - 1];
        id[place] = id[place - 1];
      }
      value[place] = logit;
      id[place] = static_cast<int32_t>(e);
    }
    const float most = value[0];
    float sum = 0;
    for (int64_t c = 0; c < a.choices; ++c) sum += value[c] = expf(value[c] - most);
    for (int64_t c = 0; c < a.choices; ++c) value[c] /= sum;
  }
};

template <class T>
struct RouteTokenBackward {
  RouteBackwardLaunch a;
  __device__ void operator()(int64_t token) const {
    T* row = static_cast<T*>(a.d_logits) + token * a.experts;
    for (int64_t e = 0; e < a.experts; ++e) store(row + e, 0.0f);
    float mean = 0;
    for (int64_t c = token * a.choices; c < (token + 1) * a.choices; ++c) mean += a.d_gate[c] * a.gate[c];
    for (int64_t c = token * a.choices; c < (token + 1) * a.choices; ++c)
      store(row + a.expert[c], a.gate[c] * (a.d_gate[c] - mean));
  }
};

template <class T>
__global__ void gather_kernel(GatherRowsLaunch a) {
  const int64_t row = blockIdx.x, pair = a.source[row];
  const T* x = static_cast<const T*>(a.x) + pair / a.choices * a.columns;
  T* out = static_cast<T*>(a.out) + row * a.columns;
  for (int64_t j = threadIdx.x; j < a.columns; j += kRowThreads) out[j] = x[j];
  if (a.gate && threadIdx.x == 0) a.gate_rows[row] = a.gate[pair];
}

template <class T>
__global__ void combine_kernel(CombineRowsLaunch a) {
  const int64_t token = blockIdx.x;
  T* y = static_cast<T*>(a.y) + token * a.columns;
  const T* rows = static_cast<const T*>(a.rows);
  const int32_t* row_of = a.row_of + token * a.choices;
  for (int64_t j = threadIdx.x; j < a.columns; j += kRowThreads) {
    float sum = a.accumulate ? load(y + j) : 0.0f;
    for (int64_t c = 0; c < a.choices; ++c) sum += load(rows + row_of[c] * a.columns + j);
    store(y + j, sum);
  }
}

template <class T>
struct UngroupScalar {
  T* out;
  const T* values;
  const int32_t* row_of;
  __device__ void operator()(int64_t pair) const { out[pair] = values[row_of[pair]]; }
};

}  // namespace

void launch(const RouteForwardLaunch& a, StreamRef stream) {
  visit_storage(a.type, [&]<class T>() { for_each(a.tokens, RouteToken<T>{a}, stream); });
}

void launch(const RouteBackwardLaunch& a, StreamRef stream) {
  visit_storage(a.type, [&]<class T>() { for_each(a.tokens, RouteTokenBackward<T>{a}, stream); });
}

void launch(const GatherRowsLaunch& a, StreamRef stream) {
  if (a.rows == 0) return;
  const DeviceScope scope(stream.device.index);
  visit_storage(a.type, [&]<class T>() {
    gather_kernel<T><<<static_cast<unsigned>(a.rows), kRowThreads, 0, stream_of(stream)>>>(a);
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const CombineRowsLaunch& a, StreamRef stream) {
  if (a.tokens == 0) return;
  const DeviceScope scope(stream.device.index);
  visit_storage(a.type, [&]<class T>() {
    combine_kernel<T><<<static_cast<unsigned>(a.tokens), kRowThreads, 0, stream_of(stream)>>>(a);
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const UngroupScalarsLaunch& a, StreamRef stream) {
  visit_storage(a.type, [&]<class T>() {
    for_each(a.pairs, UngroupScalar<T>{static_cast<T*>(a.out), static_cast<const T*>(a.values), a.row_of}, stream);
  });
}

}  // namespace timetrial::ops::cuda
