// Rules of a shape's parts that not every workload has.
// SPDX-License-Identifier: Apache-2.0
#include "model_extras.h"

#include <string_view>
#include <utility>

#include "timetrial/base/error.h"

namespace timetrial::config {

namespace {

void require(bool holds, const std::string& path, const std::string& what) {
  if (!holds) throw ConfigError(path, what);
}

void validate_latent(const ModelShape& m, const std::string& path) {
  const LatentSpec& l = m.latent;
  const std::pair<std::string_view, int64_t> extents[] = {{"query_rank", l.query_rank},
                                                          {"kv_rank", l.kv_rank},
                                                          {"nope_dim", l.nope_dim},
                                                          {"rope_dim", l.rope_dim},
                                                          {"value_dim", l.value_dim}};
  for (const auto& [field, extent] : extents)
    require(extent >= 1, fmt::format("{}/latent/{}", path, field),
            fmt::format("{} must be at least 1 with latent attention; set all of model.latent to 0 for none", extent));
  require(l.rope_dim % 2 == 0, path + "/latent/rope_dim",
          fmt::format("{} is odd, but rotary embedding turns pairs; use {}", l.rope_dim, l.rope_dim + 1));
  require(m.head_dim == l.nope_dim + l.rope_dim, path + "/head_dim",
          fmt::format("{} is not latent.nope_dim {} + latent.rope_dim {}; use {}", m.head_dim, l.nope_dim, l.rope_dim,
                      l.nope_dim + l.rope_dim));
  require(m.kv_heads == m.heads, path + "/kv_heads",
          fmt::format("{} are not the {} heads: with latent attention each head has its own key and value; use {}",
                      m.kv_heads, m.heads, m.heads));
  require(m.window_keys == 0, path + "/window_keys",
          fmt::format("{}, but latent attention has no windows; use 0", m.window_keys));
  require(!m.qk_norm, path + "/qk_norm", "true, but latent attention norms its latents instead; use false");
  require(!m.linear_bias, path + "/linear_bias", "true, but latent attention has no biases; use false");
  require(!m.sinks, path + "/sinks", "true, but latent attention has no sinks; use false");
}

void validate_router(const ModelShape& m, const std::string& path) {
  const RouterSpec& r = m.router;
  if (r.kind == RouterKind::softmax) {
    require(r == RouterSpec(), path,
            "groups, kept_groups, scaling, aux_loss and bias_rate belong to kind sigmoid; set that, or 1, 1, 1, 0, 0");
    return;
  }
  require(m.experts > 0, path + "/kind", "sigmoid, but there are no experts; use softmax");
  require(!m.linear_bias, path + "/kind", "sigmoid, but linear_bias is true: this router has no bias; use false");
  constexpr int64_t kMost = 64;  // of choices and groups, what the router's kernels hold
  require(r.groups >= 1 && r.groups <= kMost && m.experts % r.groups == 0, path + "/groups",
          fmt::format("{} groups do not divide {} experts, or are more than {}; use 1", r.groups, m.experts, kMost));
  require(r.kept_groups >= 1 && r.kept_groups <= r.groups, path + "/kept_groups",
          fmt::format("{} of {} groups; use at least 1 and at most {}", r.kept_groups, r.groups, r.groups));
  const int64_t choices = m.experts_per_token;
  require(
      choices <= kMost && choices % r.kept_groups == 0 && choices / r.kept_groups <= m.experts / r.groups,
      path + "/kept_groups",
      fmt::format("{} experts per token cannot come in equal parts from {} groups of {} experts; change one of them",
                  choices, r.kept_groups, m.experts / r.groups));
  require(r.scaling > 0, path + "/scaling", fmt::format("{} must be above 0", r.scaling));
  require(r.aux_loss >= 0, path + "/aux_loss", fmt::format("{} must be at least 0", r.aux_loss));
  require(r.bias_rate >= 0, path + "/bias_rate", fmt::format("{} must be at least 0", r.bias_rate));
}

void validate_layers(const ModelShape& m, const std::string& path) {
  require(m.dense_layers >= 0 && m.dense_layers <= m.layers, path + "/dense_layers",
          fmt::format("{} of {} layers; use at most {}", m.dense_layers, m.layers, m.layers));
  require(m.experts > 0 || m.dense_layers == 0, path + "/dense_layers",
          fmt::format("{}, but without experts every layer is dense and model.ffn wide; use 0", m.dense_layers));
  require((m.dense_layers > 0) == (m.dense_ffn > 0), path + "/dense_ffn",
          fmt::format("{} for {} dense layers; both must be 0, or neither", m.dense_ffn, m.dense_layers));
  require(m.shared_ffn == 0 || m.experts > 0, path + "/shared_ffn",
          fmt::format("{}, but there are no experts; use 0", m.shared_ffn));
  require(!m.linear_bias || (m.shared_ffn == 0 && m.dense_layers == 0), path + "/linear_bias",
          "true, but dense layers and the shared expert have no biases; use false");
}

}  // namespace

void validate_extras(const ModelShape& m, const std::string& path) {
  validate_layers(m, path);
  if (m.latent.on()) validate_latent(m, path);
  validate_router(m, path + "/router");
  const MultiTokenSpec& p = m.multi_token;
  require(p.modules == 0 || p.modules == 1, path + "/multi_token/modules",
          fmt::format("{}; 0 or 1 is what there is", p.modules));
  require((p.modules > 0) == (p.weight > 0), path + "/multi_token/weight",
          fmt::format("{} with {} modules; both must be above 0, or neither", p.weight, p.modules));
  require(p.modules == 0 || m.experts > 0, path + "/multi_token/modules",
          "1, but its layer needs experts and there are none; use 0");
  require(p.modules == 0 || m.sequence_length >= 2, path + "/sequence_length",
          fmt::format("{}: predicting the token after next needs at least 2", m.sequence_length));
}

}  // namespace timetrial::config
