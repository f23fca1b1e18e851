// Which tensors of a Llama checkpoint make which parameter, and the config.json of a shape.
// SPDX-License-Identifier: Apache-2.0
#include "workloads/llama31_405b/checkpoint.h"

#include <fmt/core.h>

namespace timetrial::llama31_405b {

namespace {

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

MappedParameter same(const std::string& name, const std::string& tensor, std::vector<int64_t> shape) {
  return stacked(name, {{.tensor = tensor, .shape = std::move(shape)}});
}

Json rope_parameters(const RopeSpec& rope) {
  Json json = {{"rope_theta", rope.base}, {"rope_type", "default"}};
  if (rope.kind != RopeKind::llama31) return json;
  json["rope_type"] = "llama3";
  json["factor"] = rope.factor;
  json["low_freq_factor"] = rope.low_frequency_factor;
  json["high_freq_factor"] = rope.high_frequency_factor;
  json["original_max_position_embeddings"] = static_cast<int64_t>(rope.original_length);
  return json;
}

}  // namespace

checkpoint::Format checkpoint_format(const ModelShape& s) {
  checkpoint::Format format;
  const int64_t rows = s.vocabulary_rows(), query = s.heads * s.head_dim, key = s.kv_heads * s.head_dim;
  // The benchmark starts from a checkpoint of another vocabulary: its leading rows are taken (spec 7.2).
  const auto table = [&](const std::string& name, const std::string& tensor) {
    return stacked(name, {{.tensor = tensor, .shape = {rows, s.hidden}, .leading_rows = true}});
  };
  auto& p = format.parameters;
  p.push_back(table("embedding.weight", "model.embed_tokens.weight"));
  for (int64_t i = 0; i < s.layers; ++i) {
    const std::string ours = fmt::format("layers.{}.", i), theirs = fmt::format("model.layers.{}.", i);
    p.push_back(same(ours + "attention_norm.weight", theirs + "input_layernorm.weight", {s.hidden}));
    p.push_back(stacked(ours + "attention.qkv.weight",
                        {{.tensor = theirs + "self_attn.q_proj.weight", .shape = {query, s.hidden}},
                         {.tensor = theirs + "self_attn.k_proj.weight", .shape = {key, s.hidden}},
                         {.tensor = theirs + "self_attn.v_proj.weight", .shape = {key, s.hidden}}}));
    p.push_back(same(ours + "attention.output.weight", theirs + "self_attn.o_proj.weight", {s.hidden, query}));
    p.push_back(same(ours + "mlp_norm.weight", theirs + "post_attention_layernorm.weight", {s.hidden}));
    p.push_back(
        stacked(ours + "mlp.fc1.weight", {{.tensor = theirs + "mlp.gate_proj.weight", .shape = {s.ffn, s.hidden}},
                                          {.tensor = theirs + "mlp.up_proj.weight", .shape = {s.ffn, s.hidden}}}));
    p.push_back(same(ours + "mlp.fc2.weight", theirs + "mlp.down_proj.weight", {s.hidden, s.ffn}));
  }
  p.push_back(same("head.norm.weight", "model.norm.weight", {s.hidden}));
  p.push_back(table("head.output.weight", "lm_head.weight"));

  format.config = {{"architectures", {"LlamaForCausalLM"}},
                   {"model_type", "llama"},
                   {"hidden_size", s.hidden},
                   {"intermediate_size", s.ffn},
                   {"num_hidden_layers", s.layers},
                   {"num_attention_heads", s.heads},
                   {"num_key_value_heads", s.kv_heads},
                   {"head_dim", s.head_dim},
                   {"vocab_size", rows},
                   {"max_position_embeddings", s.sequence_length},
                   {"rms_norm_eps", s.norm_epsilon},
                   {"hidden_act", "silu"},
                   {"attention_bias", false},
                   {"mlp_bias", false},
                   {"tie_word_embeddings", false},
                   {"rope_parameters", rope_parameters(s.rope)}};
  format.free_config_keys = {"architectures", "vocab_size", "max_position_embeddings"};
  return format;
}

}  // namespace timetrial::llama31_405b
