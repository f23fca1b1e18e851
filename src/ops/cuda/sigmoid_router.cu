// Sigmoid router: one block per token; scores by all threads, the choice by one.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/best.cuh"
#include "ops/cuda/sigmoid_router_kernels.h"
#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

namespace {

constexpr int kMostGroups = 64;
constexpr float kFloor = 1e-20f;  // of the sum of chosen scores (spec 3.3)

template <class T>
struct Forward {
  int32_t* expert;
  float *gate, *score;
  const T* logits;
  const float* bias;
  int32_t experts, choices, groups, kept_groups;
  float scaling;
};

// Dynamic shared memory: the biased scores of the token's experts.
template <class T>
__global__ void forward_kernel(Forward<T> a) {
  extern __shared__ float biased[];
  __shared__ float group_score[kMostGroups];
  __shared__ bool kept[kMostGroups];
  const int64_t token = blockIdx.x;
  float* score = a.score + token * a.experts;
  for (int32_t e = static_cast<int32_t>(threadIdx.x); e < a.experts; e += kRowThreads) {
    const float s = 1.0f / (1.0f + expf(-load(a.logits + token * a.experts + e)));
    score[e] = s;
    biased[e] = s + a.bias[e];
  }
  __syncthreads();
  const int32_t size = a.experts / a.groups, of_group = a.choices / a.kept_groups;
  if (threadIdx.x < static_cast<unsigned>(a.groups)) {
    const float* group = biased + static_cast<int32_t>(threadIdx.x) * size;
    const auto at = [&](int32_t i) { return group[i]; };
    float sum = 0;
    int32_t last = -1;
    for (int32_t i = 0; i < of_group; ++i) sum += group[last = next_best(size, last, at, [](int32_t) { return true; })];
    group_score[threadIdx.x] = sum;
    kept[threadIdx.x] = false;
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  int32_t last = -1;
  for (int32_t g = 0; g < a.kept_groups; ++g) {
    last = next_best(
        a.groups, last, [&](int32_t i) { return group_score[i]; }, [](int32_t) { return true; });
    kept[last] = true;
  }
  int32_t* chosen = a.expert + token * a.choices;
  float sum = 0;
  last = -1;
  for (int32_t k = 0; k < a.choices; ++k) {
    last = next_best(
        a.experts, last, [&](int32_t i) { return biased[i]; }, [&](int32_t i) { return kept[i / size]; });
    chosen[k] = last;
    sum += score[last];
  }
  const float factor = a.scaling / (sum + kFloor);
  for (int32_t k = 0; k < a.choices; ++k) a.gate[token * a.choices + k] = factor * score[chosen[k]];
}

template <class T>
struct Backward {
  T* d_logits;
  const float *d_gate, *score, *d_score;
  const int32_t* expert;
  int32_t experts, choices;
  float scaling;
};

// Every thread sums the few choices itself, in the same order.
template <class T>
__global__ void backward_kernel(Backward<T> a) {
  const int64_t token = blockIdx.x;
  const float *score = a.score + token * a.experts, *d_gate = a.d_gate + token * a.choices;
  const int32_t* chosen = a.expert + token * a.choices;
  float sum = kFloor, mean = 0;
  for (int32_t k = 0; k < a.choices; ++k) sum += score[chosen[k]];
  for (int32_t k = 0; k < a.choices; ++k) mean += d_gate[k] * (score[chosen[k]] / sum);
  for (int32_t e = static_cast<int32_t>(threadIdx.x); e < a.experts; e += kRowThreads) {
    float d = a.d_score ? a.d_score[token * a.experts + e] : 0.0f;
    for (int32_t k = 0; k < a.choices; ++k)
      if (chosen[k] == e) d += a.scaling / sum * (d_gate[k] - mean);
    store(a.d_logits + token * a.experts + e, d * score[e] * (1.0f - score[e]));
  }
}

}  // namespace

void launch(const SigmoidRouteForwardLaunch& a, StreamRef stream) {
  if (a.tokens == 0) return;
  const DeviceScope scope(stream.device.index);
  visit_storage(a.type, [&]<class T>() {
    forward_kernel<T><<<static_cast<unsigned>(a.tokens), kRowThreads, static_cast<size_t>(a.experts) * sizeof(float),
                        stream_of(stream)>>>({a.expert, a.gate, a.score, static_cast<const T*>(a.logits), a.bias,
                                              a.experts, a.choices, a.groups, a.kept_groups, a.scaling});
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const SigmoidRouteBackwardLaunch& a, StreamRef stream) {
  if (a.tokens == 0) return;
  const DeviceScope scope(stream.device.index);
  visit_storage(a.type, [&]<class T>() {
    backward_kernel<T><<<static_cast<unsigned>(a.tokens), kRowThreads, 0, stream_of(stream)>>>(
        {static_cast<T*>(a.d_logits), a.d_gate, a.score, a.d_score, a.expert, a.experts, a.choices, a.scaling});
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
