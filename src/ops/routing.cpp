// Expert routing: what the ops of spec 3.1 and 3.2 accept, checked once for every device.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/routing.h"

#include <limits>

#include "ops/checks.h"
#include "ops/cpu/routing.h"
#include "ops/cuda/routing.h"
#include "ops/on_cpu.h"

namespace timetrial::ops {

constexpr Roles<RouteForward> roles(const RouteForward&) {
  return {.reads = {&RouteForward::logits}, .writes = {&RouteForward::expert, &RouteForward::gate}};
}
constexpr Roles<RouteBackward> roles(const RouteBackward&) {
  return {.reads = {&RouteBackward::d_gate, &RouteBackward::gate, &RouteBackward::expert},
          .writes = {&RouteBackward::d_logits}};
}
constexpr Roles<GroupByExpert> roles(const GroupByExpert&) {
  return {.reads = {&GroupByExpert::expert},
          .writes = {&GroupByExpert::expert_begin, &GroupByExpert::source, &GroupByExpert::row_of}};
}
constexpr Roles<GatherRows> roles(const GatherRows&) {
  return {.reads = {&GatherRows::x, &GatherRows::gate, &GatherRows::source},
          .writes = {&GatherRows::rows, &GatherRows::gate_rows}};
}
constexpr Roles<CombineRows> roles(const CombineRows& a) {
  Roles<CombineRows> result{.reads = {&CombineRows::rows, &CombineRows::row_of}};
  (a.accumulate ? result.updates : result.writes)[0] = &CombineRows::y;
  return result;
}
constexpr Roles<UngroupScalars> roles(const UngroupScalars&) {
  return {.reads = {&UngroupScalars::values, &UngroupScalars::row_of}, .writes = {&UngroupScalars::out}};
}

void route_forward(const RouteForward& a, StreamRef stream) {
  check_devices("route_forward", {a.expert, a.gate, a.logits}, stream);
  const Shape chosen = {a.logits.dim(0), a.gate.dim(1)};
  TIMETRIAL_CHECK(a.logits.shape().rank() == 2 && chosen[1] > 0 && chosen[1] <= a.logits.dim(1),
                  "route_forward: {} choices among logits {}", chosen[1], a.logits.shape());
  check_tensor(a.expert, {"route_forward", "expert", DType::i32, chosen});
  check_tensor(a.gate, {"route_forward", "gate", wide(a.logits.dtype()), chosen});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({"route_forward", stream, a.logits.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::route_forward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::route_forward(a, stream);
      throw_without_cuda("route_forward");
  }
}

void route_backward(const RouteBackward& a, StreamRef stream) {
  check_devices("route_backward", {a.d_logits, a.d_gate, a.gate, a.expert}, stream);
  const Shape chosen = {a.d_logits.dim(0), a.gate.dim(1)};
  TIMETRIAL_CHECK(a.d_logits.shape().rank() == 2 && chosen[1] > 0 && chosen[1] <= a.d_logits.dim(1),
                  "route_backward: {} choices among d_logits {}", chosen[1], a.d_logits.shape());
  check_tensor(a.expert, {"route_backward", "expert", DType::i32, chosen});
  check_tensor(a.gate, {"route_backward", "gate", wide(a.d_logits.dtype()), chosen});
  check_tensor(a.d_gate, {"route_backward", "d_gate", wide(a.d_logits.dtype()), chosen});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({"route_backward", stream, a.d_logits.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::route_backward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::route_backward(a, stream);
      throw_without_cuda("route_backward");
  }
}

void group_by_expert(const GroupByExpert& a, StreamRef stream) {
  check_devices("group_by_expert", {a.expert_begin, a.source, a.row_of, a.expert}, stream);
  TIMETRIAL_CHECK(a.expert.shape().rank() == 2, "group_by_expert: expert is {}, expected (N, k)", a.expert.shape());
  TIMETRIAL_CHECK(a.expert.elements() <= std::numeric_limits<int32_t>::max(),
                  "group_by_expert: {} pairs do not fit int32 indices", a.expert.elements());
  check_tensor(a.expert, {"group_by_expert", "expert", DType::i32, a.expert.shape()});
  check_tensor(a.expert_begin, {"group_by_expert", "expert_begin", DType::i32, Shape{a.expert_begin.dim(0)}});
  TIMETRIAL_CHECK(a.expert_begin.dim(0) >= 2, "group_by_expert: expert_begin {} has no expert", a.expert_begin.shape());
  check_tensor(a.source, {"group_by_expert", "source", DType::i32, Shape{a.expert.elements()}});
  check_tensor(a.row_of, {"group_by_expert", "row_of", DType::i32, a.expert.shape()});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({"group_by_expert", stream, DType::f32}, a,
                    []<class T>(const auto& arguments) { cpu::group_by_expert(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::group_by_expert(a, stream);
      throw_without_cuda("group_by_expert");
  }
}

void gather_rows(const GatherRows& a, StreamRef stream) {
  check_devices("gather_rows", {a.rows, a.gate_rows, a.x, a.gate, a.source}, stream);
  const int64_t rows = a.source.dim(0);
  TIMETRIAL_CHECK(a.choices > 0, "gather_rows: {} choices", a.choices);
  check_tensor(a.source, {"gather_rows", "source", DType::i32, Shape{rows}});
  check_tensor(a.rows, {"gather_rows", "rows", a.x.dtype(), Shape{rows, a.x.dim(1)}});
  TIMETRIAL_CHECK(a.x.shape().rank() == 2, "gather_rows: x is {}, expected (N, C)", a.x.shape());
  TIMETRIAL_CHECK(bool(a.gate) == bool(a.gate_rows), "gather_rows: gate and gate_rows come together");
  if (a.gate) {
    check_tensor(a.gate, {"gather_rows", "gate", wide(a.x.dtype()), Shape{a.x.dim(0), a.choices}});
    check_tensor(a.gate_rows, {"gather_rows", "gate_rows", wide(a.x.dtype()), Shape{rows}});
  }
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({"gather_rows", stream, a.x.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::gather_rows<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::gather_rows(a, stream);
      throw_without_cuda("gather_rows");
  }
}

void combine_rows(const CombineRows& a, StreamRef stream) {
  check_devices("combine_rows", {a.y, a.rows, a.row_of}, stream);
  TIMETRIAL_CHECK(a.y.shape().rank() == 2, "combine_rows: y is {}, expected (N, C)", a.y.shape());
  check_tensor(a.rows, {"combine_rows", "rows", a.y.dtype(), Shape{a.rows.dim(0), a.y.dim(1)}});
  check_tensor(a.row_of, {"combine_rows", "row_of", DType::i32, Shape{a.y.dim(0), a.row_of.dim(1)}});
  TIMETRIAL_CHECK(a.row_of.dim(1) > 0, "combine_rows: row_of {} has no choice", a.row_of.shape());
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({"combine_rows", stream, a.y.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::combine_rows<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::combine_rows(a, stream);
      throw_without_cuda("combine_rows");
  }
}

void ungroup_scalars(const UngroupScalars& a, StreamRef stream) {
  check_devices("ungroup_scalars", {a.out, a.values, a.row_of}, stream);
  check_tensor(a.row_of, {"ungroup_scalars", "row_of", DType::i32, a.out.shape()});
  check_tensor(a.values, {"ungroup_scalars", "values", a.out.dtype(), Shape{a.values.dim(0)}});
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({"ungroup_scalars", stream, a.out.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::ungroup_scalars<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::ungroup_scalars(a, stream);
      throw_without_cuda("ungroup_scalars");
  }
}

}  // namespace timetrial::ops
