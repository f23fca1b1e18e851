// Which tensors of a DeepSeek-V3 checkpoint make which parameter, and the config.json of a shape.
// SPDX-License-Identifier: Apache-2.0
#include "workloads/deepseekv3_671b/checkpoint.h"

#include <fmt/core.h>

namespace timetrial::deepseekv3_671b {

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

// The rotary layout is the same on both sides: adjacent pairs.
void add_attention(std::vector<MappedParameter>& p, const ModelShape& s, const std::string& ours,
                   const std::string& theirs) {
  const LatentSpec& l = s.latent;
  p.push_back(same(ours + "q_down.weight", theirs + "q_a_proj.weight", {l.query_rank, s.hidden}));
  p.push_back(same(ours + "q_norm.weight", theirs + "q_a_layernorm.weight", {l.query_rank}));
  p.push_back(
      same(ours + "q_up.weight", theirs + "q_b_proj.weight", {s.heads * (l.nope_dim + l.rope_dim), l.query_rank}));
  p.push_back(same(ours + "kv_down.weight", theirs + "kv_a_proj_with_mqa.weight", {l.kv_rank + l.rope_dim, s.hidden}));
  p.push_back(same(ours + "kv_norm.weight", theirs + "kv_a_layernorm.weight", {l.kv_rank}));
  p.push_back(
      same(ours + "kv_up.weight", theirs + "kv_b_proj.weight", {s.heads * (l.nope_dim + l.value_dim), l.kv_rank}));
  p.push_back(same(ours + "output.weight", theirs + "o_proj.weight", {s.hidden, s.heads * l.value_dim}));
}

void add_mlp(std::vector<MappedParameter>& p, const ModelShape& s, int64_t ffn, const std::string& ours,
             const std::string& theirs) {
  p.push_back(stacked(ours + "fc1.weight", {{.tensor = theirs + "gate_proj.weight", .shape = {ffn, s.hidden}},
                                            {.tensor = theirs + "up_proj.weight", .shape = {ffn, s.hidden}}}));
  p.push_back(same(ours + "fc2.weight", theirs + "down_proj.weight", {s.hidden, ffn}));
}

void add_experts(std::vector<MappedParameter>& p, const ModelShape& s, const std::string& ours,
                 const std::string& theirs) {
  p.push_back(same(ours + "router.weight", theirs + "gate.weight", {s.experts, s.hidden}));
  p.push_back(same(ours + "router.expert_bias", theirs + "gate.e_score_correction_bias", {s.experts}));
  std::vector<Piece> fc1, fc2;
  for (int64_t e = 0; e < s.experts; ++e) {
    const std::string expert = fmt::format("{}experts.{}.", theirs, e);
    fc1.push_back({.tensor = expert + "gate_proj.weight", .shape = {s.ffn, s.hidden}});
    fc1.push_back({.tensor = expert + "up_proj.weight", .shape = {s.ffn, s.hidden}});
    fc2.push_back({.tensor = expert + "down_proj.weight", .shape = {s.hidden, s.ffn}});
  }
  p.push_back(stacked(ours + "experts.fc1.weight", std::move(fc1)));
  p.push_back(stacked(ours + "experts.fc2.weight", std::move(fc2)));
  if (s.shared_ffn > 0) add_mlp(p, s, s.shared_ffn, ours + "shared.", theirs + "shared_experts.");
}

void add_layer(std::vector<MappedParameter>& p, const ModelShape& s, bool dense, const std::string& ours,
               const std::string& theirs) {
  p.push_back(same(ours + "attention_norm.weight", theirs + "input_layernorm.weight", {s.hidden}));
  add_attention(p, s, ours + "attention.", theirs + "self_attn.");
  p.push_back(same(ours + "mlp_norm.weight", theirs + "post_attention_layernorm.weight", {s.hidden}));
  if (dense)
    add_mlp(p, s, s.dense_ffn, ours + "mlp.", theirs + "mlp.");
  else
    add_experts(p, s, ours + "mlp.", theirs + "mlp.");
}

Json rope_parameters(const RopeSpec& rope) {
  Json json = {{"rope_theta", rope.base}, {"rope_type", "default"}};
  if (rope.kind != RopeKind::yarn) return json;
  json["rope_type"] = "yarn";
  json["factor"] = rope.factor;
  json["beta_fast"] = rope.beta_fast;
  json["beta_slow"] = rope.beta_slow;
  json["mscale"] = 1.0;
  json["mscale_all_dim"] = rope.mscale_all_dim;
  json["original_max_position_embeddings"] = static_cast<int64_t>(rope.original_length);
  return json;
}

}  // namespace

checkpoint::Format checkpoint_format(const ModelShape& s) {
  checkpoint::Format format;
  auto& p = format.parameters;
  p.push_back(same("embedding.weight", "model.embed_tokens.weight", {s.vocabulary, s.hidden}));
  for (int64_t i = 0; i < s.layers; ++i)
    add_layer(p, s, s.dense(i), fmt::format("layers.{}.", i), fmt::format("model.layers.{}.", i));
  p.push_back(same("head.norm.weight", "model.norm.weight", {s.hidden}));
  p.push_back(same("head.output.weight", "lm_head.weight", {s.vocabulary, s.hidden}));
  if (s.multi_token.modules > 0) {
    const std::string theirs = fmt::format("model.layers.{}.", s.layers);
    p.push_back(same("prediction.embedding_norm.weight", theirs + "enorm.weight", {s.hidden}));
    p.push_back(same("prediction.hidden_norm.weight", theirs + "hnorm.weight", {s.hidden}));
    p.push_back(same("prediction.projection.weight", theirs + "eh_proj.weight", {s.hidden, 2 * s.hidden}));
    add_layer(p, s, false, "prediction.layer.", theirs);
    p.push_back(same("prediction.norm.weight", theirs + "shared_head.norm.weight", {s.hidden}));
    format.ignored = {theirs + "embed_tokens.weight", theirs + "shared_head.head.weight"};
  }

  format.config = {{"architectures", {"DeepseekV3ForCausalLM"}},
                   {"model_type", "deepseek_v3"},
                   {"hidden_size", s.hidden},
                   {"intermediate_size", s.dense_ffn},
                   {"moe_intermediate_size", s.ffn},
                   {"num_hidden_layers", s.layers},
                   {"first_k_dense_replace", s.dense_layers},
                   {"num_attention_heads", s.heads},
                   {"num_key_value_heads", s.kv_heads},
                   {"q_lora_rank", s.latent.query_rank},
                   {"kv_lora_rank", s.latent.kv_rank},
                   {"qk_nope_head_dim", s.latent.nope_dim},
                   {"qk_rope_head_dim", s.latent.rope_dim},
                   {"v_head_dim", s.latent.value_dim},
                   {"n_routed_experts", s.experts},
                   {"n_shared_experts", s.ffn > 0 ? s.shared_ffn / s.ffn : 0},
                   {"num_experts_per_tok", s.experts_per_token},
                   {"n_group", s.router.groups},
                   {"topk_group", s.router.kept_groups},
                   {"routed_scaling_factor", s.router.scaling},
                   {"norm_topk_prob", true},
                   {"num_nextn_predict_layers", s.multi_token.modules},
                   {"vocab_size", s.vocabulary},
                   {"max_position_embeddings", s.sequence_length},
                   {"rms_norm_eps", s.norm_epsilon},
                   {"hidden_act", "silu"},
                   {"attention_bias", false},
                   {"rope_interleave", true},
                   {"tie_word_embeddings", false},
                   {"rope_parameters", rope_parameters(s.rope)}};
  format.free_config_keys = {"architectures", "max_position_embeddings", "num_nextn_predict_layers"};
  return format;
}

}  // namespace timetrial::deepseekv3_671b
