// Gated activation on the CPU: the formulas of spec 2.4 and 3.1 once, fp32 rows compiled per instruction set.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/gated_activation.h"

#include "ops/cpu/parallel.h"
#include "ops/cpu/vector_math.h"

namespace timetrial::ops::cpu {

namespace {

constexpr double kLimit = 7, kSlope = 1.702;

// act(g, u) and its derivatives. Comparisons are arranged so that NaN passes through value and derivatives.
template <class T>
struct Activation {
  T value, by_g, by_u;
};

struct Swiglu {
  template <class T>
  [[gnu::always_inline]] static Activation<T> at(T g, T u) {
    const T sigma = 1 / (1 + fast_exp(-g));
    return {g * sigma * u, u * sigma * (1 + g * (1 - sigma)), g * sigma};
  }
};

struct ClampedSwiglu {
  template <class T>
  [[gnu::always_inline]] static Activation<T> at(T gate, T linear) {
    constexpr T limit = static_cast<T>(kLimit), slope = static_cast<T>(kSlope);
    const T g = gate > limit ? limit : gate;
    const T below = linear > limit ? limit : linear, u = below < -limit ? -limit : below;
    const T sigma = 1 / (1 + fast_exp(-slope * g));
    const T by_g = (u + 1) * (sigma + slope * g * sigma * (1 - sigma));
    const bool u_is_clamped = linear >= limit || linear <= -limit;
    return {g * sigma * (u + 1), gate > limit ? T{0} : by_g, u_is_clamped ? T{0} : g * sigma};
  }
};

template <class T>
struct ForwardRow {
  T* out;
  const T* hidden;
  T gate;
  int64_t width;
};
template <class Kind, class T>
[[gnu::always_inline]] inline void forward(const ForwardRow<T>& row) {
  T* __restrict out = row.out;
  const T* __restrict g = row.hidden, * __restrict u = row.hidden + row.width;
#pragma omp simd
  for (int64_t i = 0; i < row.width; ++i) out[i] = row.gate * Kind::at(g[i], u[i]).value;
}

template <class T>
struct BackwardRow {
  T* d_hidden;
  const T *d_out, *hidden;
  T gate;
  int64_t width;
};
// Returns the gradient of the row's gate.
template <class Kind, class T>
[[gnu::always_inline]] inline T backward(const BackwardRow<T>& row) {
  T* __restrict d_g = row.d_hidden, * __restrict d_u = row.d_hidden + row.width;
  const T* __restrict d_out = row.d_out, * __restrict g = row.hidden, * __restrict u = row.hidden + row.width;
  T d_gate = 0;
#pragma omp simd reduction(+ : d_gate)
  for (int64_t i = 0; i < row.width; ++i) {
    const Activation<T> act = Kind::at(g[i], u[i]);
    const T d = row.gate * d_out[i];
    d_gate += d_out[i] * act.value;
    d_g[i] = d * act.by_g;
    d_u[i] = d * act.by_u;
  }
  return d_gate;
}

TIMETRIAL_MULTIVERSION void swiglu(const ForwardRow<float>& row) { forward<Swiglu>(row); }
TIMETRIAL_MULTIVERSION void clamped_swiglu(const ForwardRow<float>& row) { forward<ClampedSwiglu>(row); }
TIMETRIAL_MULTIVERSION float swiglu(const BackwardRow<float>& row) { return backward<Swiglu>(row); }
TIMETRIAL_MULTIVERSION float clamped_swiglu(const BackwardRow<float>& row) { return backward<ClampedSwiglu>(row); }
void swiglu(const ForwardRow<double>& row) { forward<Swiglu>(row); }
void clamped_swiglu(const ForwardRow<double>& row) { forward<ClampedSwiglu>(row); }
double swiglu(const BackwardRow<double>& row) { return backward<Swiglu>(row); }
double clamped_swiglu(const BackwardRow<double>& row) { return backward<ClampedSwiglu>(row); }

}  // namespace

template <class T>
void gated_activation_forward(const GatedActivationForward& a) {
  const int64_t width = a.out.dim(1);
  T* out = a.out.data<T>();
  const T *hidden = a.hidden.data<T>(), *gates = a.gate_rows ? a.gate_rows.data<T>() : nullptr;
  parallel_ranges(a.out.dim(0), width, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const ForwardRow<T> row = {out + r * width, hidden + r * 2 * width, gates ? gates[r] : T{1}, width};
      switch (a.kind) {
        case GatedActivationKind::swiglu:
          swiglu(row);
          break;
        case GatedActivationKind::clamped_swiglu:
          clamped_swiglu(row);
          break;
      }
    }
  });
}

template <class T>
void gated_activation_backward(const GatedActivationBackward& a) {
  const int64_t width = a.d_out.dim(1);
  T *d_hidden = a.d_hidden.data<T>(), *d_gates = a.d_gate_rows ? a.d_gate_rows.data<T>() : nullptr;
  const T *d_out = a.d_out.data<T>(), *hidden = a.hidden.data<T>(),
          *gates = a.gate_rows ? a.gate_rows.data<T>() : nullptr;
  parallel_ranges(a.d_out.dim(0), width, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const BackwardRow<T> row = {d_hidden + r * 2 * width, d_out + r * width, hidden + r * 2 * width,
                                  gates ? gates[r] : T{1}, width};
      T d_gate = 0;
      switch (a.kind) {
        case GatedActivationKind::swiglu:
          d_gate = swiglu(row);
          break;
        case GatedActivationKind::clamped_swiglu:
          d_gate = clamped_swiglu(row);
          break;
      }
      if (d_gates) d_gates[r] = d_gate;
    }
  });
}

template void gated_activation_forward<float>(const GatedActivationForward&);
template void gated_activation_forward<double>(const GatedActivationForward&);
template void gated_activation_backward<float>(const GatedActivationBackward&);
template void gated_activation_backward<double>(const GatedActivationBackward&);

}  // namespace timetrial::ops::cpu
