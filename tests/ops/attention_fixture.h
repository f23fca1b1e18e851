// One attention call, forward and backward, on the tensors of a Bench; shared by the attention tests.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "fixtures/bench.h"
#include "timetrial/ops/attention.h"

namespace timetrial::ops {

struct AttentionCase {
  int64_t batch, length, heads, kv_heads, head_dim, window_keys;
  bool sinks = false;
  uint64_t seed = 1;
  double size = 1;  // inputs are uniform in [-size, size]
  int64_t value_channels = 0;

  AttentionShape shape() const {
    return {
        batch,          length, heads, kv_heads, head_dim, window_keys, 1 / std::sqrt(static_cast<double>(head_dim)),
        value_channels, sinks};
  }
  Shape qkv() const { return {batch * length, shape().qkv_width()}; }
  Shape out() const { return {batch * length, shape().out_width()}; }
  std::vector<double> qkv_values() const { return fixtures::random_values(qkv(), seed, -size, size); }
  std::vector<double> sink_values() const {
    return sinks ? fixtures::random_values(heads, seed + 1, -2, 2) : std::vector<double>{};
  }
  std::vector<double> d_out_values() const { return fixtures::random_values(out(), seed + 2); }
};

struct AttentionTensors {
  Tensor qkv, sinks, out, lse, workspace;
};

inline AttentionTensors run_forward(fixtures::Bench& bench, const AttentionCase& c, const std::vector<double>& qkv,
                                    const std::vector<double>& sinks, Libraries* libraries = nullptr) {
  AttentionShape s = c.shape();
  s.sinks = !sinks.empty();
  const size_t needed = attention_workspace_bytes(s, bench.dtype(), bench.stream().device, libraries);
  const auto bytes = static_cast<int64_t>(needed);
  const AttentionTensors t = {
      bench.input(c.qkv(), qkv), sinks.empty() ? Tensor{} : bench.input({c.heads}, sinks), bench.output("out", c.out()),
      bench.output_statistics("lse", {s.batch, s.heads, s.length}), bench.scratch(DType::f32, {(bytes + 3) / 4})};
  attention_forward({t.out, t.lse, t.qkv, t.sinks, t.workspace, s, libraries}, bench.stream());
  return t;
}

inline void run_backward(fixtures::Bench& bench, const AttentionCase& c, const AttentionTensors& t,
                         Libraries* libraries = nullptr) {
  AttentionShape s = c.shape();
  s.sinks = static_cast<bool>(t.sinks);
  const Tensor d_qkv = bench.output("d_qkv", c.qkv());
  const Tensor d_sinks = t.sinks ? bench.output("d_sinks", {c.heads}) : Tensor{};
  const Tensor d_out = bench.input(c.out(), c.d_out_values());
  const Tensor fresh = bench.scratch(DType::f32, t.workspace.shape());  // nothing carries over from forward
  attention_backward({d_qkv, d_sinks, d_out, t.out, t.lse, t.qkv, t.sinks, fresh, s, libraries}, bench.stream());
}

}  // namespace timetrial::ops
