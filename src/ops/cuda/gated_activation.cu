// Gated activation kernels: the formulas of spec 2.4 and 3.1, one block per row.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/gated_activation_kernels.h"
#include "ops/cuda/storage.cuh"

namespace timetrial::ops::cuda {

namespace {

constexpr float kLimit = 7, kSlope = 1.702f;

// act(g, u) and its derivatives. Comparisons are arranged so that NaN passes through value and derivatives.
struct Activation {
  float value, by_g, by_u;
};

struct Swiglu {
  __device__ static Activation at(float g, float u) {
    const float sigma = 1 / (1 + expf(-g));
    return {g * sigma * u, u * sigma * (1 + g * (1 - sigma)), g * sigma};
  }
};

struct ClampedSwiglu {
  __device__ static Activation at(float gate, float linear) {
    const float g = gate > kLimit ? kLimit : gate;
    const float below = linear > kLimit ? kLimit : linear, u = below < -kLimit ? -kLimit : below;
    const float sigma = 1 / (1 + expf(-kSlope * g));
    const float by_g = (u + 1) * (sigma + kSlope * g * sigma * (1 - sigma));
    const bool u_is_clamped = linear >= kLimit || linear <= -kLimit;
    return {g * sigma * (u + 1), gate > kLimit ? 0.0f : by_g, u_is_clamped ? 0.0f : g * sigma};
  }
};

template <class Kind, class T>
__global__ void forward_kernel(T* out, const T* hidden, const float* gate_rows, int64_t width) {
  const int64_t row = blockIdx.x;
  const float gate = gate_rows ? gate_rows[row] : 1.0f;
  const T *g = hidden + row * 2 * width, *u = g + width;
  for (int64_t i = threadIdx.x; i < width; i += kRowThreads)
    store(out + row * width + i, gate * Kind::at(load(g + i), load(u + i)).value);
}

template <class Kind, class T>
__global__ void backward_kernel(GatedActivationBackwardLaunch a) {
  const int64_t row = blockIdx.x;
  const float gate = a.gate_rows ? a.gate_rows[row] : 1.0f;
  const T *g = static_cast<const T*>(a.hidden) + row * 2 * a.width, *u = g + a.width;
  const T* d_out = static_cast<const T*>(a.d_out) + row * a.width;
  T *d_g = static_cast<T*>(a.d_hidden) + row * 2 * a.width, *d_u = d_g + a.width;
  float d_gate = 0;
  for (int64_t i = threadIdx.x; i < a.width; i += kRowThreads) {
    const Activation act = Kind::at(load(g + i), load(u + i));
    const float d = gate * load(d_out + i);
    d_gate += load(d_out + i) * act.value;
    store(d_g + i, d * act.by_g);
    store(d_u + i, d * act.by_u);
  }
  d_gate = block_sum(d_gate);
  if (a.d_gate_rows && threadIdx.x == 0) a.d_gate_rows[row] = d_gate;
}

// Calls f.operator()<Kind>().
template <class F>
void visit_kind(bool clamped, F&& f) {
  if (clamped)
    f.template operator()<ClampedSwiglu>();
  else
    f.template operator()<Swiglu>();
}

}  // namespace

void launch(const GatedActivationForwardLaunch& a, StreamRef stream) {
  if (a.rows == 0) return;
  const DeviceScope scope(stream.device.index);
  visit_storage(a.type, [&]<class T>() {
    visit_kind(a.clamped, [&]<class Kind>() {
      forward_kernel<Kind><<<static_cast<unsigned>(a.rows), kRowThreads, 0, stream_of(stream)>>>(
          static_cast<T*>(a.out), static_cast<const T*>(a.hidden), a.gate_rows, a.width);
    });
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

void launch(const GatedActivationBackwardLaunch& a, StreamRef stream) {
  if (a.rows == 0) return;
  const DeviceScope scope(stream.device.index);
  visit_storage(a.type, [&]<class T>() {
    visit_kind(a.clamped, [&]<class Kind>() {
      backward_kernel<Kind, T><<<static_cast<unsigned>(a.rows), kRowThreads, 0, stream_of(stream)>>>(a);
    });
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
