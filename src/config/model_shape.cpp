// Counts of parameters and FLOPs from the shape alone, and the rules a shape must keep.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/model_shape.h"

#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>

#include "timetrial/base/error.h"

namespace timetrial {

namespace {

// Weights of one layer outside its experts, and of one expert, with and without what takes no part in products.
struct LayerCounts {
  int64_t dense = 0, dense_matmul = 0;
  int64_t expert = 0, expert_matmul = 0;
};

LayerCounts count_layer(const ModelShape& m) {
  const int64_t query_width = m.heads * m.head_dim;
  LayerCounts c;
  const int64_t gated = 3 * m.hidden * m.ffn;
  const int64_t gated_biases = 2 * m.ffn + m.hidden;
  const bool dense = m.experts == 0;
  c.dense_matmul = m.hidden * m.qkv_width() + query_width * m.hidden + m.hidden * m.experts + (dense ? gated : 0);
  c.expert_matmul = dense ? 0 : gated;
  const int64_t dense_biases = m.qkv_width() + m.hidden + m.experts + (dense ? gated_biases : 0);
  const int64_t expert_biases = dense ? 0 : gated_biases;
  const int64_t norms = 2 * m.hidden + (m.qk_norm ? 2 * m.head_dim : 0);
  c.dense = c.dense_matmul + norms + (m.sinks ? m.heads : 0) + (m.linear_bias ? dense_biases : 0);
  c.expert = c.expert_matmul + (m.linear_bias ? expert_biases : 0);
  return c;
}

// Score and value products, forward, of one layer and token: 2 H (d + d) keys.
double attention_flops_per_token(const ModelShape& m, int64_t layer) {
  const double keys = mean_visible_keys(m.sequence_length, m.windowed(layer) ? m.window_keys : 0);
  return 2.0 * static_cast<double>(m.heads) * static_cast<double>(2 * m.head_dim) * keys;
}

}  // namespace

ModelCounts count(const ModelShape& shape) {
  const LayerCounts layer = count_layer(shape);
  const int64_t embedding = shape.vocabulary_rows() * shape.hidden;
  const int64_t outside = 2 * embedding + shape.hidden;  // embedding, head, final norm
  ModelCounts c;
  c.total = shape.layers * (layer.dense + shape.experts * layer.expert) + outside;
  c.active = shape.layers * (layer.dense + shape.experts_per_token * layer.expert) + outside;
  c.matmul = shape.layers * (layer.dense_matmul + shape.experts_per_token * layer.expert_matmul) + embedding;
  for (int64_t i = 0; i < shape.layers; ++i) {
    c.attention_train_flops_per_token += 3 * attention_flops_per_token(shape, i);
  }
  c.train_flops_per_token = 6 * static_cast<double>(c.matmul) + c.attention_train_flops_per_token;
  return c;
}

double mean_visible_keys(int64_t sequence_length, int64_t window_keys_or_zero) {
  TIMETRIAL_CHECK(sequence_length > 0, "sequence of {} tokens", sequence_length);
  TIMETRIAL_CHECK(window_keys_or_zero >= 0, "window of {} keys", window_keys_or_zero);
  const auto s = static_cast<double>(sequence_length);
  if (window_keys_or_zero == 0 || window_keys_or_zero >= sequence_length) return (s + 1) / 2;
  const auto w = static_cast<double>(window_keys_or_zero);
  return (w * (w + 1) / 2 + (s - w) * w) / s;
}

namespace {

void require_positive(const ModelShape& m, const std::string& path) {
  const std::pair<std::string_view, int64_t> extents[] = {
      {"layers", m.layers},
      {"hidden", m.hidden},
      {"heads", m.heads},
      {"kv_heads", m.kv_heads},
      {"head_dim", m.head_dim},
      {"ffn", m.ffn},
      {"vocabulary", m.vocabulary},
      {"vocabulary_multiple", m.vocabulary_multiple},
      {"sequence_length", m.sequence_length},
  };
  for (const auto& [field, extent] : extents) {
    if (extent < 1) throw ConfigError(fmt::format("{}/{}", path, field), fmt::format("{} must be at least 1", extent));
  }
  const std::pair<std::string_view, int64_t> counts[] = {
      {"experts", m.experts}, {"experts_per_token", m.experts_per_token}, {"window_keys", m.window_keys}};
  for (const auto& [field, count] : counts) {
    if (count < 0) throw ConfigError(fmt::format("{}/{}", path, field), fmt::format("{} must be at least 0", count));
  }
}

// In double, so that extents too large for the exact count are refused before it.
void require_countable(const ModelShape& m, const std::string& path) {
  constexpr double kMost = 1152921504606846976.0;  // 2^60: every sum below fits 63 bits
  const auto hidden = static_cast<double>(m.hidden);
  const double per_layer =
      hidden * (static_cast<double>(m.heads) + 2 * static_cast<double>(m.kv_heads)) * static_cast<double>(m.head_dim) *
          2 +
      std::max(static_cast<double>(m.experts), 1.0) * hidden * (3 * static_cast<double>(m.ffn) + 4);
  const double rows = static_cast<double>(m.vocabulary) + static_cast<double>(m.vocabulary_multiple);
  const double total = static_cast<double>(m.layers) * per_layer + 2 * rows * hidden;
  if (total > kMost) {
    throw ConfigError(path, fmt::format("about {:.3g} parameters are more than {:.3g}, the most that can be counted; "
                                        "lower layers, hidden, experts or ffn",
                                        total, kMost));
  }
}

// Numbers of a rotary kind that another kind would ignore must stand at their defaults.
void refuse_unused(const RopeSpec& rope, const std::string& path) {
  const RopeSpec unused;
  const bool yarn = rope.kind == RopeKind::yarn, llama = rope.kind == RopeKind::llama31;
  const std::tuple<std::string_view, bool, double, double> fields[] = {
      {"factor", yarn || llama, rope.factor, unused.factor},
      {"original_length", yarn || llama, rope.original_length, unused.original_length},
      {"beta_fast", yarn, rope.beta_fast, unused.beta_fast},
      {"beta_slow", yarn, rope.beta_slow, unused.beta_slow},
      {"low_frequency_factor", llama, rope.low_frequency_factor, unused.low_frequency_factor},
      {"high_frequency_factor", llama, rope.high_frequency_factor, unused.high_frequency_factor},
  };
  const std::string_view kind = yarn ? "YaRN" : llama ? "Llama 3.1 RoPE" : "plain RoPE";
  for (const auto& [field, used, value, neutral] : fields) {
    if (used || value == neutral) continue;
    throw ConfigError(fmt::format("{}/{}", path, field),
                      fmt::format("{} has no effect with {}; set it to {}, or rope.kind to {}", value, kind, neutral,
                                  field.find("frequency") == std::string_view::npos ? "yarn" : "llama31"));
  }
}

void validate(const RopeSpec& rope, const std::string& path) {
  if (!(rope.base > 1)) throw ConfigError(path + "/base", fmt::format("{} must be above 1", rope.base));
  refuse_unused(rope, path);
  if (rope.kind == RopeKind::plain) return;
  if (!(rope.factor >= 1)) throw ConfigError(path + "/factor", fmt::format("{} must be at least 1", rope.factor));
  if (!(rope.original_length >= 1))
    throw ConfigError(path + "/original_length", fmt::format("{} must be at least 1", rope.original_length));
  const bool yarn = rope.kind == RopeKind::yarn;
  const double low = yarn ? rope.beta_slow : rope.low_frequency_factor;
  const double high = yarn ? rope.beta_fast : rope.high_frequency_factor;
  const std::string low_name = yarn ? "beta_slow" : "low_frequency_factor";
  const std::string high_name = yarn ? "beta_fast" : "high_frequency_factor";
  if (!(low > 0)) throw ConfigError(fmt::format("{}/{}", path, low_name), fmt::format("{} must be above 0", low));
  if (!(high > low))
    throw ConfigError(fmt::format("{}/{}", path, high_name),
                      fmt::format("{} must be above {} {}", high, low_name, low));
}

}  // namespace

void validate(const ModelShape& shape, const std::string& path) {
  require_positive(shape, path);
  if (shape.heads % shape.kv_heads != 0) {
    throw ConfigError(path + "/heads",
                      fmt::format("{} heads are not a multiple of {} kv_heads; use {} heads", shape.heads,
                                  shape.kv_heads, (shape.heads / shape.kv_heads + 1) * shape.kv_heads));
  }
  if (shape.experts_per_token > shape.experts) {
    throw ConfigError(path + "/experts_per_token",
                      fmt::format("{} are more than the {} experts there are; use at most {}", shape.experts_per_token,
                                  shape.experts, shape.experts));
  }
  if (shape.experts > 0 && shape.experts_per_token == 0) {
    throw ConfigError(path + "/experts_per_token",
                      fmt::format("0, but there are {} experts; use at least 1, or no experts", shape.experts));
  }
  if (shape.head_dim % 2 != 0) {
    throw ConfigError(path + "/head_dim", fmt::format("{} is odd, but rotary embedding turns pairs; use {}",
                                                      shape.head_dim, shape.head_dim + 1));
  }
  if (!(shape.norm_epsilon > 0)) {
    throw ConfigError(path + "/norm_epsilon", fmt::format("{} must be above 0", shape.norm_epsilon));
  }
  if (!(shape.init_std >= 0)) {
    throw ConfigError(path + "/init_std", fmt::format("{} must be at least 0", shape.init_std));
  }
  if (!(shape.router_bias_std >= 0)) {
    throw ConfigError(path + "/router_bias_std", fmt::format("{} must be at least 0", shape.router_bias_std));
  }
  if (!shape.linear_bias && shape.router_bias_std != 0) {
    throw ConfigError(
        path + "/router_bias_std",
        fmt::format("{} has no effect without biases; set it to 0, or linear_bias to true", shape.router_bias_std));
  }
  require_countable(shape, path);
  validate(shape.rope, path + "/rope");
}

}  // namespace timetrial
