// Which tensors of a gpt-oss checkpoint make which parameter, and the config.json of a shape.
// SPDX-License-Identifier: Apache-2.0
#include "workloads/gpt_oss_20b/checkpoint.h"

#include <fmt/core.h>

namespace timetrial::gpt_oss_20b {

namespace {

using checkpoint::Layout;
using checkpoint::MappedParameter;
using checkpoint::Piece;

// A parameter whose rows are those of the given tensors, one after another.
MappedParameter stacked(const std::string& name, std::vector<Piece> pieces) {
  MappedParameter parameter{.name = name, .pieces = std::move(pieces)};
  for (Piece& piece : parameter.pieces) {
    piece.begin = parameter.elements;
    parameter.elements += piece.elements();
  }
  return parameter;
}

MappedParameter same(const std::string& name, const std::string& tensor, std::vector<int64_t> shape,
                     Layout layout = Layout::plain) {
  return stacked(name, {{.tensor = tensor, .shape = std::move(shape), .layout = layout}});
}

void add_attention(std::vector<MappedParameter>& p, const ModelShape& s, const std::string& ours,
                   const std::string& theirs) {
  const int64_t query = s.heads * s.head_dim, key = s.kv_heads * s.head_dim;
  p.push_back(stacked(ours + "qkv.weight", {{.tensor = theirs + "q_proj.weight", .shape = {query, s.hidden}},
                                            {.tensor = theirs + "k_proj.weight", .shape = {key, s.hidden}},
                                            {.tensor = theirs + "v_proj.weight", .shape = {key, s.hidden}}}));
  if (s.linear_bias)
    p.push_back(stacked(ours + "qkv.bias", {{.tensor = theirs + "q_proj.bias", .shape = {query}},
                                            {.tensor = theirs + "k_proj.bias", .shape = {key}},
                                            {.tensor = theirs + "v_proj.bias", .shape = {key}}}));
  if (s.qk_norm) {
    p.push_back(same(ours + "q_norm.weight", theirs + "q_norm.weight", {s.head_dim}));
    p.push_back(same(ours + "k_norm.weight", theirs + "k_norm.weight", {s.head_dim}));
  }
  p.push_back(same(ours + "output.weight", theirs + "o_proj.weight", {s.hidden, query}));
  if (s.linear_bias) p.push_back(same(ours + "output.bias", theirs + "o_proj.bias", {s.hidden}));
  if (s.sinks) p.push_back(same(ours + "sinks", theirs + "sinks", {s.heads}));
}

// Stored expert matrices multiply from the right, and gate and up channels alternate.
void add_experts(std::vector<MappedParameter>& p, const ModelShape& s, const std::string& ours,
                 const std::string& theirs) {
  p.push_back(same(ours + "router.weight", theirs + "router.weight", {s.experts, s.hidden}));
  if (s.linear_bias) p.push_back(same(ours + "router.bias", theirs + "router.bias", {s.experts}));
  p.push_back(same(ours + "experts.fc1.weight", theirs + "experts.gate_up_proj", {s.experts, s.hidden, 2 * s.ffn},
                   Layout::transposed_interleaved));
  p.push_back(same(ours + "experts.fc2.weight", theirs + "experts.down_proj", {s.experts, s.ffn, s.hidden},
                   Layout::transposed));
  if (!s.linear_bias) return;
  p.push_back(same(ours + "experts.fc1.bias", theirs + "experts.gate_up_proj_bias", {s.experts, 2 * s.ffn},
                   Layout::interleaved));
  p.push_back(same(ours + "experts.fc2.bias", theirs + "experts.down_proj_bias", {s.experts, s.hidden}));
}

Json rope_parameters(const RopeSpec& rope) {
  Json json = {{"rope_theta", rope.base}, {"rope_type", "default"}};
  if (rope.kind != RopeKind::yarn) return json;
  json["rope_type"] = "yarn";
  json["factor"] = rope.factor;
  json["beta_fast"] = rope.beta_fast;
  json["beta_slow"] = rope.beta_slow;
  json["truncate"] = false;
  json["original_max_position_embeddings"] = static_cast<int64_t>(rope.original_length);
  return json;
}

Json layer_types(const ModelShape& s) {
  Json types = Json::array();
  for (int64_t i = 0; i < s.layers; ++i) types.push_back(s.windowed(i) ? "sliding_attention" : "full_attention");
  return types;
}

}  // namespace

checkpoint::Format checkpoint_format(const ModelShape& s) {
  checkpoint::Format format;
  auto& p = format.parameters;
  const int64_t rows = s.vocabulary_rows();
  p.push_back(same("embedding.weight", "model.embed_tokens.weight", {rows, s.hidden}));
  for (int64_t i = 0; i < s.layers; ++i) {
    const std::string ours = fmt::format("layers.{}.", i), theirs = fmt::format("model.layers.{}.", i);
    p.push_back(same(ours + "attention_norm.weight", theirs + "input_layernorm.weight", {s.hidden}));
    add_attention(p, s, ours + "attention.", theirs + "self_attn.");
    p.push_back(same(ours + "mlp_norm.weight", theirs + "post_attention_layernorm.weight", {s.hidden}));
    add_experts(p, s, ours + "mlp.", theirs + "mlp.");
  }
  p.push_back(same("head.norm.weight", "model.norm.weight", {s.hidden}));
  p.push_back(same("head.output.weight", "lm_head.weight", {rows, s.hidden}));

  format.config = {{"architectures", {"GptOssForCausalLM"}},
                   {"model_type", "gpt_oss"},
                   {"hidden_size", s.hidden},
                   {"intermediate_size", s.ffn},
                   {"num_hidden_layers", s.layers},
                   {"num_attention_heads", s.heads},
                   {"num_key_value_heads", s.kv_heads},
                   {"head_dim", s.head_dim},
                   {"num_local_experts", s.experts},
                   {"num_experts_per_tok", s.experts_per_token},
                   {"vocab_size", rows},
                   {"sliding_window", s.window_keys},
                   {"layer_types", layer_types(s)},
                   {"max_position_embeddings", s.sequence_length},
                   {"rms_norm_eps", s.norm_epsilon},
                   {"attention_bias", s.linear_bias},
                   {"tie_word_embeddings", false},
                   {"rope_parameters", rope_parameters(s.rope)}};
  format.free_config_keys = {"architectures", "max_position_embeddings"};
  return format;
}

}  // namespace timetrial::gpt_oss_20b
