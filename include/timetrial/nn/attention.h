// Attention: fused QKV projection, QK-norm, rotary positions, causal grouped-query attention with window and sinks,
// output projection. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "timetrial/nn/head_norm.h"
#include "timetrial/nn/linear.h"
#include "timetrial/ops/attention.h"

namespace timetrial::nn {

// cos and sin of all positions, shared by the layers of a model; made once at start-up.
struct RotaryTable {
  Tensor cos, sin;  // (T, d/2)
};

struct AttentionOptions {
  int64_t hidden, heads, kv_heads, head_dim, sequence_length;
  int64_t window_keys = 0;  // 0: full causal
  bool bias = false, sinks = false;
  bool qk_norm = false;     // RMSNorm on each query and key head before rotation
  double norm_epsilon = 0;  // of QK-norm
  double init_std = 0, output_init_std = 0;
};

class Attention {
 public:
  Attention(ModuleContext& context, const std::string& name, const AttentionOptions& options,
            const RotaryTable& rotary);

  void plan_forward(Plan& plan, int64_t tokens) const;
  void plan_backward(Plan& plan, int64_t tokens) const;
  void forward(const Tensor& out, const Tensor& in, Pass& pass) const;  // (B*T, hidden) both
  void backward_input(const Tensor& d_in, const Tensor& d_out, Pass& pass) const;
  void backward_weights(Pass& pass) const;

 private:
  ops::AttentionShape shape(int64_t tokens) const;
  size_t workspace_bytes(int64_t tokens) const;
  Tensor workspace(int64_t tokens, Pass& pass) const;
  void project(const Tensor& qkv, const Tensor& in, Pass& pass) const;
  void project_backward(const Tensor& d_in, const Tensor& d_qkv, Pass& pass) const;
  Tensor sinks(const Pass& pass) const { return sinks_ ? pass.weight(*sinks_) : Tensor(); }

  AttentionOptions options_;
  const RotaryTable& rotary_;
  DType dtype_, fine_;
  Device device_;
  std::shared_ptr<ops::Libraries> libraries_;
  Linear qkv_;
  std::optional<HeadNorm> qk_norm_;
  Linear output_;
  std::optional<ParamId> sinks_;
  SavedId saved_qkv_, saved_core_, saved_lse_, d_qkv_, d_sinks_;
  SavedId projected_, d_projected_;  // before QK-norm
};

}  // namespace timetrial::nn
