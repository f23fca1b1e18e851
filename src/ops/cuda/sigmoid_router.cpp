// Sigmoid router on CUDA: tensors to kernel arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/sigmoid_router.h"

#include "ops/cuda/arguments.h"
#include "ops/cuda/sigmoid_router_kernels.h"

namespace timetrial::ops::cuda {

namespace {

constexpr int64_t kMostExperts = 1280;  // eight tokens of a block in 40 KiB

}  // namespace

void sigmoid_route_forward(const SigmoidRouteForward& a, StreamRef stream) {
  check_storage("sigmoid_route_forward", {a.logits.dtype()});
  TIMETRIAL_CHECK(a.logits.dim(1) <= kMostExperts, "sigmoid_route_forward: {} experts, CUDA's shared memory holds {}",
                  a.logits.dim(1), kMostExperts);
  launch(SigmoidRouteForwardLaunch{.expert = a.expert.data<int32_t>(),
                                   .gate = a.gate.data<float>(),
                                   .score = a.score.data<float>(),
                                   .logits = a.logits.raw(),
                                   .bias = a.bias.data<float>(),
                                   .tokens = a.logits.dim(0),
                                   .experts = static_cast<int32_t>(a.logits.dim(1)),
                                   .choices = static_cast<int32_t>(a.gate.dim(1)),
                                   .groups = static_cast<int32_t>(a.groups),
                                   .kept_groups = static_cast<int32_t>(a.kept_groups),
                                   .scaling = static_cast<float>(a.scaling),
                                   .type = a.logits.dtype()},
         stream);
}

void sigmoid_route_backward(const SigmoidRouteBackward& a, StreamRef stream) {
  check_storage("sigmoid_route_backward", {a.d_logits.dtype()});
  launch(SigmoidRouteBackwardLaunch{.d_logits = a.d_logits.raw(),
                                    .d_gate = a.d_gate.data<float>(),
                                    .score = a.score.data<float>(),
                                    .d_score = a.d_score ? a.d_score.data<float>() : nullptr,
                                    .expert = a.expert.data<int32_t>(),
                                    .tokens = a.d_logits.dim(0),
                                    .experts = static_cast<int32_t>(a.d_logits.dim(1)),
                                    .choices = static_cast<int32_t>(a.d_gate.dim(1)),
                                    .scaling = static_cast<float>(a.scaling),
                                    .type = a.d_logits.dtype()},
         stream);
}

}  // namespace timetrial::ops::cuda
