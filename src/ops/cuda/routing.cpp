// Expert routing on CUDA: tensors to kernel arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/routing.h"

#include "ops/cuda/arguments.h"
#include "ops/cuda/routing_kernels.h"

namespace timetrial::ops::cuda {

void route_forward(const RouteForward& a, StreamRef stream) {
  check_storage("route_forward", {a.logits.dtype()});
  launch(RouteForwardLaunch{.expert = a.expert.data<int32_t>(),
                            .gate = a.gate.data<float>(),
                            .logits = a.logits.raw(),
                            .tokens = a.logits.dim(0),
                            .experts = a.logits.dim(1),
                            .choices = a.gate.dim(1),
                            .type = a.logits.dtype()},
         stream);
}

void route_backward(const RouteBackward& a, StreamRef stream) {
  check_storage("route_backward", {a.d_logits.dtype()});
  launch(RouteBackwardLaunch{.d_logits = a.d_logits.raw(),
                             .d_gate = a.d_gate.data<float>(),
                             .gate = a.gate.data<float>(),
                             .expert = a.expert.data<int32_t>(),
                             .tokens = a.d_logits.dim(0),
                             .experts = a.d_logits.dim(1),
                             .choices = a.gate.dim(1),
                             .type = a.d_logits.dtype()},
         stream);
}

void group_by_expert(const GroupByExpert& a, StreamRef stream) {
  launch(GroupByExpertLaunch{.expert_begin = a.expert_begin.data<int32_t>(),
                             .source = a.source.data<int32_t>(),
                             .row_of = a.row_of.data<int32_t>(),
                             .expert = a.expert.data<int32_t>(),
                             .experts = a.expert_begin.dim(0) - 1,
                             .pairs = a.expert.elements()},
         stream);
}

void gather_rows(const GatherRows& a, StreamRef stream) {
  check_storage("gather_rows", {a.x.dtype()});
  launch(GatherRowsLaunch{.out = a.rows.raw(),
                          .gate_rows = floats_of(a.gate_rows),
                          .x = a.x.raw(),
                          .gate = floats_of(a.gate),
                          .source = a.source.data<int32_t>(),
                          .rows = a.rows.dim(0),
                          .columns = a.rows.dim(1),
                          .choices = a.choices,
                          .type = a.x.dtype()},
         stream);
}

void combine_rows(const CombineRows& a, StreamRef stream) {
  check_storage("combine_rows", {a.y.dtype()});
  launch(CombineRowsLaunch{.y = a.y.raw(),
                           .rows = a.rows.raw(),
                           .row_of = a.row_of.data<int32_t>(),
                           .tokens = a.y.dim(0),
                           .columns = a.y.dim(1),
                           .choices = a.row_of.dim(1),
                           .accumulate = a.accumulate,
                           .type = a.y.dtype()},
         stream);
}

void ungroup_scalars(const UngroupScalars& a, StreamRef stream) {
  check_storage("ungroup_scalars", {a.out.dtype()});
  launch(UngroupScalarsLaunch{.out = a.out.raw(),
                              .values = a.values.raw(),
                              .row_of = a.row_of.data<int32_t>(),
                              .pairs = a.out.elements(),
                              .type = a.out.dtype()},
         stream);
}

}  // namespace timetrial::ops::cuda
