// Sigmoid router: a warp per token, which scores, chooses and weighs; backward a block per token.
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
  int64_t tokens;
  int32_t experts, choices, groups, kept_groups;
  float scaling;
};

constexpr int kTokens = kRowThreads / 32;  // of a block

// Dynamic shared memory: the biased scores of the experts of each token of the block.
template <class T>
__global__ void forward_kernel(Forward<T> a) {
  extern __shared__ float biased_scores[];
  __shared__ float group_scores[kTokens][kMostGroups];
  __shared__ bool kept_groups[kTokens][kMostGroups];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int64_t token = static_cast<int64_t>(blockIdx.x) * kTokens + warp;
  if (token >= a.tokens) return;
  float* biased = biased_scores + warp * a.experts;
  float* group_score = group_scores[warp];
  bool* kept = kept_groups[warp];
  float* score = a.score + token * a.experts;
  for (int32_t e = lane; e < a.experts; e += 32) {
    const float s = 1.0f / (1.0f + expf(-load(a.logits + token * a.experts + e)));
    score[e] = s;
    biased[e] = s + a.bias[e];
  }
  __syncwarp();
  const int32_t size = a.experts / a.groups, of_group = a.choices / a.kept_groups;
  const auto any = [](int32_t) { return true; };
  for (int32_t g = lane; g < a.groups; g += 32) {
    const float* group = biased + g * size;
    float sum = 0;
    int32_t last = -1;
    for (int32_t i = 0; i < of_group; ++i)
      sum += group[last = next_best(
                       Candidates{size}, last, [&](int32_t j) { return group[j]; }, any)];
    group_score[g] = sum;
    kept[g] = false;
  }
  __syncwarp();
  int32_t last = -1;
  for (int32_t g = 0; g < a.kept_groups; ++g) {
    last = warp_next_best(
        a.groups, last, [&](int32_t i) { return group_score[i]; }, any);
    if (lane == 0) kept[last] = true;
  }
  __syncwarp();
  float sum = 0;
  last = -1;
  for (int32_t k = 0; k < a.choices; ++k) {
    last = warp_next_best(
        a.experts, last, [&](int32_t i) { return biased[i]; }, [&](int32_t i) { return kept[i / size]; });
    if (lane == 0) a.expert[token * a.choices + k] = last;
    sum += score[last];
  }
  __syncwarp();
  const float factor = a.scaling / (sum + kFloor);
  for (int32_t k = lane; k < a.choices; k += 32)
    a.gate[token * a.choices + k] = factor * score[a.expert[token * a.choices + k]];
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
    const auto blocks = static_cast<unsigned>((a.tokens + kTokens - 1) / kTokens);
    const size_t shared = static_cast<size_t>(kTokens * a.experts) * sizeof(float);
    forward_kernel<T><<<blocks, kRowThreads, shared, stream_of(stream)>>>(
        {a.expert, a.gate, a.score, static_cast<const T*>(a.logits), a.bias, a.tokens, a.experts, a.choices, a.groups,
         a.kept_groups, a.scaling});
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
