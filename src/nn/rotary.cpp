// Which frequencies a rotary kind means.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/nn/rotary.h"

#include "timetrial/ops/rope_table.h"

namespace timetrial::nn {

namespace {

void fill(const ops::RopeTable& table, const ModelShape& shape, StreamRef stream) {
  const RopeSpec& rope = shape.rope;
  switch (rope.kind) {
    case RopeKind::plain:
      return ops::fill_rope_table(table, {.head_dim = shape.rotary_dim(), .base = rope.base}, stream);
    case RopeKind::yarn:
      return ops::fill_rope_table(table,
                                  {.head_dim = shape.rotary_dim(),
                                   .base = rope.base,
                                   .factor = rope.factor,
                                   .original_length = rope.original_length,
                                   .beta_fast = rope.beta_fast,
                                   .beta_slow = rope.beta_slow,
                                   .round_bounds = rope.round_bounds,
                                   .mscale_all_dim = rope.mscale_all_dim},
                                  stream);
    case RopeKind::llama31:
      return ops::fill_angle_table(table,
                                   ops::llama31_frequencies({.head_dim = shape.rotary_dim(),
                                                             .base = rope.base,
                                                             .factor = rope.factor,
                                                             .original_length = rope.original_length,
                                                             .low_frequency_factor = rope.low_frequency_factor,
                                                             .high_frequency_factor = rope.high_frequency_factor}),
                                   1, stream);
  }
  throw Error("unknown rotary kind");
}

DType table_type(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

}  // namespace

Rotary::Rotary(const ModelShape& shape, DType dtype, Device device)
    : cos_(table_type(dtype), {shape.sequence_length, shape.rotary_dim() / 2}, device),
      sin_(table_type(dtype), {shape.sequence_length, shape.rotary_dim() / 2}, device),
      table_{.cos = cos_, .sin = sin_} {
  fill({.cos = cos_, .sin = sin_}, shape, {.device = device});
}

}  // namespace timetrial::nn
