// AdamW in one pass over every segment, and the norm that its clip needs.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/adamw.h"

#include <cmath>
#include <cstring>

#include "ops/cpu/parallel.h"
#include "ops/cpu/vector_math.h"

namespace timetrial::ops::cpu {

namespace {

// Everything that one update needs, constants folded.
template <class T>
struct Update {
  T *weight, *master, *moment_1, *moment_2;
  const T* gradient;
  T beta_1, beta_2, rest_1, rest_2;  // rest = 1 - beta, taken in double
  T inverse_bias_1, inverse_bias_2;
  T coefficient, learning_rate, epsilon, decay;
};

template <class T>
[[gnu::always_inline]] inline void update_body(const Update<T>& u, int64_t begin, int64_t end) {
  // Locals, so that the compiler need not fear that a store changes them.
  T *weight = u.weight, *master = u.master, *moment_1 = u.moment_1, *moment_2 = u.moment_2;
  const T* gradient = u.gradient;
  const Update<T> c = u;
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const T g = c.coefficient * gradient[i];
    const T m = c.beta_1 * moment_1[i] + c.rest_1 * g;
    const T v = c.beta_2 * moment_2[i] + c.rest_2 * (g * g);
    const T direction = (m * c.inverse_bias_1) / (std::sqrt(v * c.inverse_bias_2) + c.epsilon);
    const T p = master[i] - c.learning_rate * (direction + c.decay * master[i]);
    moment_1[i] = m;
    moment_2[i] = v;
    master[i] = p;
    weight[i] = p;
  }
}

TIMETRIAL_MULTIVERSION void update(const Update<float>& u, int64_t begin, int64_t end) { update_body(u, begin, end); }
void update(const Update<double>& u, int64_t begin, int64_t end) { update_body(u, begin, end); }

template <class T>
[[gnu::always_inline]] inline double squares_body(const T* x, int64_t begin, int64_t end) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = begin; i < end; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

TIMETRIAL_MULTIVERSION double squares(const float* x, int64_t begin, int64_t end) {
  return squares_body(x, begin, end);
}
double squares(const double* x, int64_t begin, int64_t end) { return squares_body(x, begin, end); }

}  // namespace

template <class T>
void squared_norm(const SquaredNorm& a, std::span<const ParameterSegment> segments) {
  const T* gradient = a.gradient.data<T>();
  double total = 0;
  for (const ParameterSegment& segment : segments)
    total += segment.norm_weight * chunked_sum(segment.begin, segment.end, [&](int64_t begin, int64_t end) {
               return squares(gradient, begin, end);
             });
  T* out = a.out.data<T>();
  out[0] = static_cast<T>(static_cast<double>(out[0]) + total);
}

template <class T>
void clip_coefficient(const ClipCoefficient& a) {
  constexpr T kFloor = static_cast<T>(1e-6);  // spec 8.2
  const T norm = std::sqrt(a.squared.data<T>()[0]);
  a.norm.data<T>()[0] = norm;
  const T coefficient = static_cast<T>(a.clip_norm) / (norm + kFloor);
  // Written so that a NaN norm gives a NaN coefficient: the overflow test must see it.
  a.coefficient.data<T>()[0] = coefficient >= 1 ? T{1} : coefficient;
}

template <class T>
void adamw(const AdamW& a, std::span<const ParameterSegment> segments) {
  StepScalars scalars;
  std::memcpy(&scalars, a.scalars.raw(), sizeof scalars);
  Update<T> u;
  u.weight = a.weight.data<T>();
  u.master = a.master.data<T>();
  u.moment_1 = a.moment_1.data<T>();
  u.moment_2 = a.moment_2.data<T>();
  u.gradient = a.gradient.data<T>();
  u.beta_1 = static_cast<T>(a.beta_1);
  u.beta_2 = static_cast<T>(a.beta_2);
  u.rest_1 = static_cast<T>(1 - a.beta_1);
  u.rest_2 = static_cast<T>(1 - a.beta_2);
  u.inverse_bias_1 = 1 / static_cast<T>(scalars.bias_1);
  u.inverse_bias_2 = 1 / static_cast<T>(scalars.bias_2);
  u.coefficient = a.coefficient.data<T>()[0];
  u.learning_rate = static_cast<T>(scalars.learning_rate);
  u.epsilon = static_cast<T>(a.epsilon);
  for (const ParameterSegment& segment : segments) {
    u.decay = segment.decay ? static_cast<T>(a.weight_decay) : T{0};
    parallel_ranges(segment.end - segment.begin, 1,
                    [&](int64_t begin, int64_t end) { update(u, segment.begin + begin, segment.begin + end); });
  }
}

template void squared_norm<float>(const SquaredNorm&, std::span<const ParameterSegment>);
template void squared_norm<double>(const SquaredNorm&, std::span<const ParameterSegment>);
template void clip_coefficient<float>(const ClipCoefficient&);
template void clip_coefficient<double>(const ClipCoefficient&);
template void adamw<float>(const AdamW&, std::span<const ParameterSegment>);
template void adamw<double>(const AdamW&, std::span<const ParameterSegment>);

}  // namespace timetrial::ops::cpu
