// Token embedding: checks, then dispatch.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/embedding.h"

#include "ops/cpu/embedding.h"
#include "ops/cuda/embedding.h"
#include "ops/on_cpu.h"

namespace timetrial::ops {

constexpr Roles<EmbeddingForward> roles(const EmbeddingForward&) {
  return {.reads = {&EmbeddingForward::table, &EmbeddingForward::ids}, .writes = {&EmbeddingForward::out}};
}
constexpr Roles<EmbeddingBackward> roles(const EmbeddingBackward&) {
  return {.reads = {&EmbeddingBackward::d_out, &EmbeddingBackward::ids}, .updates = {&EmbeddingBackward::d_table}};
}
// Rows of the table that are used, not the table.
double bytes_moved(const EmbeddingForward& a) { return static_cast<double>(a.ids.bytes() + 2 * a.out.bytes()); }
double bytes_moved(const EmbeddingBackward& a) { return static_cast<double>(a.ids.bytes() + 3 * a.d_out.bytes()); }

namespace {

void check(std::string_view op, const Tensor& table, const Tensor& rows, const Tensor& ids) {
  TIMETRIAL_CHECK(table.shape().rank() == 2 && rows.shape().rank() == 2 && rows.dim(1) == table.dim(1),
                  "{}: rows {} of a table {}", op, rows.shape(), table.shape());
  TIMETRIAL_CHECK(ids.shape() == Shape{rows.dim(0)} && ids.dtype() == DType::i32, "{}: ids {} {} for rows {}", op,
                  ids.shape(), name_of(ids.dtype()), rows.shape());
}

}  // namespace

void embedding_forward(const EmbeddingForward& a, StreamRef stream) {
  constexpr std::string_view kOp = "embedding_forward";
  check_devices(kOp, {a.out, a.table, a.ids}, stream);
  check(kOp, a.table, a.out, a.ids);
  TIMETRIAL_CHECK(a.out.dtype() == a.table.dtype(), "{}: {} rows of a {} table", kOp, name_of(a.out.dtype()),
                  name_of(a.table.dtype()));
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({kOp, stream, a.table.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::embedding_forward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::embedding_forward(a, stream);
      throw_without_cuda(kOp);
  }
}

void embedding_backward(const EmbeddingBackward& a, StreamRef stream) {
  constexpr std::string_view kOp = "embedding_backward";
  check_devices(kOp, {a.d_table, a.d_out, a.ids}, stream);
  check(kOp, a.d_table, a.d_out, a.ids);
  const bool wider = a.d_out.dtype() == DType::bf16 && a.d_table.dtype() == DType::f32;
  TIMETRIAL_CHECK(a.d_table.dtype() == a.d_out.dtype() || wider, "{}: {} gradients into a {} table", kOp,
                  name_of(a.d_out.dtype()), name_of(a.d_table.dtype()));
  switch (stream.device.kind) {
    case DeviceKind::cpu:
      return on_cpu({kOp, stream, a.d_out.dtype()}, a,
                    [&]<class T>(const auto& arguments) { cpu::embedding_backward<T>(arguments); });
    case DeviceKind::cuda:
      if constexpr (build::has_cuda) return cuda::embedding_backward(a, stream);
      throw_without_cuda(kOp);
  }
}

}  // namespace timetrial::ops
