// Optimizer kernels: the update over all segments of a launch, the squared norm in two passes of fixed order, the clip.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/adamw_kernels.h"
#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

namespace {

constexpr int kUpdateBlocks = 1024;  // most blocks per segment

// Sum over the kRowThreads threads of a block, in a fixed order; the first thread knows it. All threads must call it.
__device__ double block_sum_double(double value) {
  __shared__ double partial[kRowThreads];
  partial[threadIdx.x] = value;
  for (int half = kRowThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
  }
  return partial[0];
}

template <class T>
__global__ void partial_norms_kernel(PartialNormsLaunch a) {
  const T* gradient = static_cast<const T*>(a.gradient);
  double total = 0;
  for (int s = 0; s < a.segments.count; ++s) {
    const Segment& segment = a.segments.at[s];
    double sum = 0;
    for (int64_t i = segment.begin + blockIdx.x * kRowThreads + threadIdx.x; i < segment.end;
         i += kNormBlocks * kRowThreads) {
      const double value = static_cast<double>(load(gradient + i));
      sum += value * value;
    }
    total += segment.norm_weight * sum;
  }
  total = block_sum_double(total);
  if (threadIdx.x == 0) a.partial[blockIdx.x] = a.accumulate ? a.partial[blockIdx.x] + total : total;
}

__global__ void sum_partial_norms_kernel(float* out, const double* partial) {
  double sum = 0;
  for (int i = threadIdx.x; i < kNormBlocks; i += kRowThreads) sum += partial[i];
  sum = block_sum_double(sum);
  if (threadIdx.x == 0) out[0] = static_cast<float>(static_cast<double>(out[0]) + sum);
}

__global__ void clip_kernel(ClipCoefficientLaunch a) {
  constexpr float kFloor = 1e-6f;  // spec 8.2
  const float norm = sqrtf(a.squared[0]);
  const float coefficient = a.clip_norm / (norm + kFloor);
  a.norm[0] = norm;
  // Written so that a NaN norm gives a NaN coefficient: the overflow test must see it.
  a.coefficient[0] = coefficient >= 1 ? 1.0f : coefficient;
}

// blockIdx.y is the segment. One thread does all of an element, so weight may be master's own memory.
template <class Weight, class Gradient>
__global__ void adamw_kernel(AdamWLaunch a) {
  const Segment& segment = a.segments.at[blockIdx.y];
  const float learning_rate = a.scalars[0], inverse_bias_1 = 1 / a.scalars[1], inverse_bias_2 = 1 / a.scalars[2];
  const float coefficient = a.coefficient[0];
  auto* weight = static_cast<Weight*>(a.weight);
  const auto* gradient = static_cast<const Gradient*>(a.gradient);
  const int64_t step = static_cast<int64_t>(gridDim.x) * kRowThreads;
  for (int64_t i = segment.begin + blockIdx.x * kRowThreads + threadIdx.x; i < segment.end; i += step) {
    const float g = coefficient * load(gradient + i);
    const float m = a.beta_1 * a.moment_1[i] + a.rest_1 * g;
    const float v = a.beta_2 * a.moment_2[i] + a.rest_2 * (g * g);
    const float direction = (m * inverse_bias_1) / (sqrtf(v * inverse_bias_2) + a.epsilon);
    const float before = a.master[i];
    const float p = before - learning_rate * (direction + segment.decay * before);
    a.moment_1[i] = m;
    a.moment_2[i] = v;
    a.master[i] = p;
    store(weight + i, p);
  }
}

}  // namespace

void launch(const PartialNormsLaunch& a, StreamRef stream) {
  const DeviceScope scope(stream.device.index);
  visit_storage(a.type,
                [&]<class T>() { partial_norms_kernel<T><<<kNormBlocks, kRowThreads, 0, stream_of(stream)>>>(a); });
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const SumPartialNormsLaunch& a, StreamRef stream) {
  const DeviceScope scope(stream.device.index);
  sum_partial_norms_kernel<<<1, kRowThreads, 0, stream_of(stream)>>>(a.out, a.partial);
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const ClipCoefficientLaunch& a, StreamRef stream) {
  const DeviceScope scope(stream.device.index);
  clip_kernel<<<1, 1, 0, stream_of(stream)>>>(a);
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const AdamWLaunch& a, StreamRef stream) {
  const DeviceScope scope(stream.device.index);
  const int64_t needed = (a.segments.longest + kRowThreads - 1) / kRowThreads;
  const dim3 blocks(static_cast<unsigned>(needed < kUpdateBlocks ? needed : kUpdateBlocks),
                    static_cast<unsigned>(a.segments.count));
  visit_storage(a.weight_type, [&]<class Weight>() {
    visit_storage(a.gradient_type, [&]<class Gradient>() {
      adamw_kernel<Weight, Gradient><<<blocks, kRowThreads, 0, stream_of(stream)>>>(a);
    });
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
