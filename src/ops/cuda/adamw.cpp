// AdamW, gradient norm and clip on CUDA: tensors and segments to kernel arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/adamw.h"

#include <algorithm>
#include <cstddef>

#include "ops/cuda/adamw_kernels.h"
#include "ops/cuda/arguments.h"

namespace timetrial::ops::cuda {

static_assert(offsetof(StepScalars, learning_rate) == 0 && offsetof(StepScalars, bias_1) == sizeof(float) &&
                  offsetof(StepScalars, bias_2) == 2 * sizeof(float),
              "AdamWLaunch::scalars reads three floats");
static_assert(kNormBlocks == kNormPartials, "the workspace holds one sum per block");

namespace {

// Calls f(Segments) for runs of at most kSegmentsPerLaunch segments that have elements.
template <class F>
void for_each_run(std::span<const ParameterSegment> segments, double weight_decay, const F& f) {
  Segments run{};
  const auto flush = [&] {
    if (run.count > 0) f(run);
    run = {};
  };
  for (const ParameterSegment& s : segments) {
    if (s.begin == s.end) continue;
    run.at[run.count++] = {s.begin, s.end, s.norm_weight, s.decay ? static_cast<float>(weight_decay) : 0.0f};
    run.longest = std::max(run.longest, s.end - s.begin);
    if (run.count == kSegmentsPerLaunch) flush();
  }
  flush();
}

}  // namespace

void squared_norm(const SquaredNorm& a, std::span<const ParameterSegment> segments, StreamRef stream) {
  check_storage("squared_norm", {a.gradient.dtype()});
  double* const partial = a.workspace.data<double>();
  bool accumulate = false;
  for_each_run(segments, 0, [&](const Segments& run) {
    launch(PartialNormsLaunch{.partial = partial,
                              .gradient = a.gradient.raw(),
                              .segments = run,
                              .accumulate = accumulate,
                              .type = a.gradient.dtype()},
           stream);
    accumulate = true;
  });
  if (accumulate) launch(SumPartialNormsLaunch{.out = a.out.data<float>(), .partial = partial}, stream);
}

void clip_coefficient(const ClipCoefficient& a, StreamRef stream) {
  launch(ClipCoefficientLaunch{.norm = a.norm.data<float>(),
                               .coefficient = a.coefficient.data<float>(),
                               .squared = a.squared.data<float>(),
                               .clip_norm = static_cast<float>(a.clip_norm)},
         stream);
}

void adamw(const AdamW& a, std::span<const ParameterSegment> segments, StreamRef stream) {
  check_storage("adamw", {a.weight.dtype(), a.gradient.dtype()});
  for_each_run(segments, a.weight_decay, [&](const Segments& run) {
    launch(AdamWLaunch{.weight = a.weight.raw(),
                       .master = a.master.data<float>(),
                       .moment_1 = a.moment_1.data<float>(),
                       .moment_2 = a.moment_2.data<float>(),
                       .gradient = a.gradient.raw(),
                       .coefficient = a.coefficient.data<float>(),
                       .scalars = static_cast<const float*>(static_cast<const void*>(a.scalars.raw())),
                       .beta_1 = static_cast<float>(a.beta_1),
                       .beta_2 = static_cast<float>(a.beta_2),
                       .rest_1 = static_cast<float>(1 - a.beta_1),
                       .rest_2 = static_cast<float>(1 - a.beta_2),
                       .epsilon = static_cast<float>(a.epsilon),
                       .segments = run,
                       .weight_type = a.weight.dtype(),
                       .gradient_type = a.gradient.dtype()},
           stream);
  });
}

}  // namespace timetrial::ops::cuda
