// Counts of parameters and FLOPs from the shape alone, and the rules a shape must keep.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/model_shape.h"

#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>

#include "model_extras.h"
#include "timetrial/base/error.h"

namespace timetrial {

namespace {

struct Weights {
  int64_t all = 0, matmul = 0;  // with and without norms, biases, sinks
  Weights& operator+=(const Weights& other) {
    all += other.all;
    matmul += other.matmul;
    return *this;
  }
};
Weights operator*(int64_t times, const Weights& w) { return {times * w.all, times * w.matmul}; }

Weights count_latent_attention(const ModelShape& m) {
  const LatentSpec& l = m.latent;
  const int64_t matmul = m.hidden * l.query_rank + l.query_rank * m.heads * (l.nope_dim + l.rope_dim) +
                         m.hidden * (l.kv_rank + l.rope_dim) + l.kv_rank * m.heads * (l.nope_dim + l.value_dim) +
                         m.heads * l.value_dim * m.hidden;
  return {matmul + l.query_rank + l.kv_rank, matmul};
}

Weights count_attention(const ModelShape& m) {
  if (m.latent.on()) return count_latent_attention(m);
  const int64_t matmul = m.hidden * m.qkv_width() + m.heads * m.head_dim * m.hidden;
  return {matmul + (m.qk_norm ? 2 * m.head_dim : 0) + (m.sinks ? m.heads : 0) +
              (m.linear_bias ? m.qkv_width() + m.hidden : 0),
          matmul};
}

Weights count_gated(const ModelShape& m, int64_t ffn) {
  const int64_t matmul = 3 * m.hidden * ffn;
  return {matmul + (m.linear_bias ? 2 * ffn + m.hidden : 0), matmul};
}

// A layer whose experts are counted `experts` times.
Weights count_layer(const ModelShape& m, bool dense, int64_t experts) {
  Weights layer = count_attention(m);
  layer += {2 * m.hidden, 0};
  if (dense) {
    layer += count_gated(m, m.experts == 0 ? m.ffn : m.dense_ffn);
    return layer;
  }
  layer += {m.hidden * m.experts + (m.linear_bias ? m.experts : 0), m.hidden * m.experts};
  layer += experts * count_gated(m, m.ffn);
  layer += {3 * m.hidden * m.shared_ffn, 3 * m.hidden * m.shared_ffn};
  return layer;
}

// Score and value products, forward, of one layer and token: 2 H (d_qk + d_v) keys.
double attention_flops_per_token(const ModelShape& m, int64_t window_keys_or_zero) {
  return 2.0 * static_cast<double>(m.heads) * static_cast<double>(m.head_dim + m.value_dim()) *
         mean_visible_keys(m.sequence_length, window_keys_or_zero);
}

}  // namespace

ModelCounts count(const ModelShape& shape) {
  const int64_t embedding = shape.vocabulary_rows() * shape.hidden;
  const int64_t sparse = shape.experts == 0 ? 0 : shape.layers - shape.dense_layers;
  Weights all{2 * embedding + shape.hidden, embedding}, active = all;  // embedding, head, final norm
  all += (shape.layers - sparse) * count_layer(shape, true, 0);
  all += sparse * count_layer(shape, false, shape.experts);
  active += (shape.layers - sparse) * count_layer(shape, true, 0);
  active += sparse * count_layer(shape, false, shape.experts_per_token);
  // The module: projection of two rows to one, three norms, a layer; the head once more.
  Weights module{2 * shape.hidden * shape.hidden + 3 * shape.hidden, 2 * shape.hidden * shape.hidden};
  Weights active_module = module;
  module += count_layer(shape, false, shape.experts);
  active_module += count_layer(shape, false, shape.experts_per_token);

  const int64_t modules = shape.multi_token.modules;
  ModelCounts c;
  c.multi_token = modules * module.all;
  c.multi_token_matmul = modules * (active_module.matmul + embedding);
  c.total = all.all + c.multi_token;
  c.active = active.all;
  c.matmul = active.matmul;
  if (shape.router.kind == RouterKind::sigmoid) c.expert_biases = (sparse + modules) * shape.experts;
  double attention = 0;
  for (int64_t i = 0; i < shape.layers; ++i)
    attention += 3 * attention_flops_per_token(shape, shape.windowed(i) ? shape.window_keys : 0);
  const double module_attention = static_cast<double>(modules) * 3 * attention_flops_per_token(shape, 0);
  const double main = 6 * static_cast<double>(c.matmul) + attention;
  c.multi_token_train_flops_per_token = 6 * static_cast<double>(c.multi_token_matmul) + module_attention;
  c.attention_train_flops_per_token = attention + module_attention;
  c.train_flops_per_token = main + c.multi_token_train_flops_per_token;
  c.evaluation_flops_per_token = main / 3;
  return c;
}

double recomputed_flops_per_token(const ModelShape& shape, Recompute recompute) {
  if (recompute != Recompute::full) return 0;
  // Of a gated feed-forward's three matrices the first product has two.
  const auto layer = [&](bool dense, int64_t window_keys_or_zero) {
    const int64_t width = dense ? (shape.experts == 0 ? shape.ffn : shape.dense_ffn)
                                : shape.experts_per_token * shape.ffn + shape.shared_ffn;
    return 2 * static_cast<double>(count_attention(shape).matmul + 2 * shape.hidden * width) +
           attention_flops_per_token(shape, window_keys_or_zero);
  };
  double sum = static_cast<double>(shape.multi_token.modules) * layer(false, 0);
  for (int64_t i = 0; i < shape.layers; ++i) sum += layer(shape.dense(i), shape.windowed(i) ? shape.window_keys : 0);
  return sum;
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
  const double latent = hidden * static_cast<double>(m.latent.query_rank + m.latent.kv_rank + m.latent.rope_dim) +
                        static_cast<double>(m.heads) * static_cast<double>(m.latent.query_rank + m.latent.kv_rank) *
                            static_cast<double>(m.latent.nope_dim + m.latent.rope_dim + m.latent.value_dim);
  const double gated = 3 * hidden * (static_cast<double>(m.dense_ffn) + static_cast<double>(m.shared_ffn));
  const double rows = static_cast<double>(m.vocabulary) + static_cast<double>(m.vocabulary_multiple);
  const double total = static_cast<double>(m.layers + m.multi_token.modules) * (per_layer + latent + gated) +
                       2 * rows * hidden + 2 * hidden * hidden;
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
      {"round_bounds", yarn, rope.round_bounds, unused.round_bounds},
      {"mscale_all_dim", yarn, rope.mscale_all_dim, unused.mscale_all_dim},
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
  config::validate_extras(shape, path);
  require_countable(shape, path);
  validate(shape.rope, path + "/rope");
}

}  // namespace timetrial
