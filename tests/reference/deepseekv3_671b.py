"""Golden files of deepseekv3_671b from transformers' DeepseekV3ForCausalLM.

The class is the published model without its multi-token prediction. The MLPerf form adds, around the class:
- the sequence auxiliary loss of workloads.md 3.4, from the router logits that each router returns;
- the multi-token-prediction module of section 5, made of the class's own decoder layer, norms, embedding and head, with
  weights named as in the released checkpoint (model.layers.<count>.enorm, hnorm, eh_proj, shared_head.norm);
- the expert-bias update of 3.5 after each step of a trajectory.
The recorded losses are those of the main head; gradients are of main + 0.1 * prediction + auxiliary losses.

Cases named fault_* are recorded with a mistake put in on purpose, which the engine may not agree with: the prediction
module's share of the embedding's and the head's gradient is lost, or expert biases enter the gate weights.

One epsilon (1e-6) holds for every norm: the class leaves the latents' norms at their default, which is the same.

SPDX-License-Identifier: Apache-2.0
"""
import torch
import transformers
from transformers import modeling_rope_utils
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as deepseek

from golden import Case, record

MODULES = [deepseek, modeling_rope_utils]
VOCABULARY, HIDDEN, EXPERTS, CHOICES, FFN = 32, 16, 8, 4, 8
AUXILIARY, PREDICTION, BIAS_RATE, LAYERS = 0.01, 0.1, 0.001, 3


class Predicting(torch.nn.Module):
    """The class and its prediction module; scores of all routers are collected as they are computed."""

    def __init__(self, config, fault=None):
        super().__init__()
        self.fault = fault
        self.config, self.core = config, transformers.DeepseekV3ForCausalLM(config)
        self.enorm = deepseek.DeepseekV3RMSNorm(HIDDEN, eps=config.rms_norm_eps)
        self.hnorm = deepseek.DeepseekV3RMSNorm(HIDDEN, eps=config.rms_norm_eps)
        self.eh_proj = torch.nn.Linear(2 * HIDDEN, HIDDEN, bias=False)
        self.layer = deepseek.DeepseekV3DecoderLayer(config, LAYERS)
        self.final = deepseek.DeepseekV3RMSNorm(HIDDEN, eps=config.rms_norm_eps)
        self.routers = [m for m in self.modules() if isinstance(m, deepseek.DeepseekV3TopkRouter)]
        self.routed = {}
        for router in self.routers:
            router.register_forward_hook(lambda module, _, output: self.routed.__setitem__(module, output))
            if fault == "bias_in_weights":
                router.register_forward_hook(biased_weights)

    def predict(self, hidden, ids):
        """Logits for the token after next: embedding of the next token first, hidden state second."""
        rolled = torch.roll(ids, -1, dims=1)
        rolled[:, -1] = 0
        table, head = self.core.model.embed_tokens.weight, self.core.lm_head.weight
        if self.fault == "lost_tie":
            table, head = table.detach(), head.detach()
        embedded = torch.nn.functional.embedding(rolled, table)
        x = self.eh_proj(torch.cat([self.enorm(embedded), self.hnorm(hidden)], dim=-1))
        length = ids.shape[1]
        positions = torch.arange(length).unsqueeze(0)
        mask = torch.full((length, length), torch.finfo(x.dtype).min, dtype=x.dtype).triu(1)[None, None]
        x = self.layer(x, attention_mask=mask, position_ids=positions, use_cache=False,
                       position_embeddings=self.core.model.rotary_emb(x, positions))
        return torch.nn.functional.linear(self.final(x[0] if isinstance(x, tuple) else x), head)


def biased_weights(router, _, output):
    logits, _, chosen = output
    weights = (logits.sigmoid() + router.e_score_correction_bias).gather(1, chosen)
    return logits, weights / weights.sum(dim=-1, keepdim=True) * router.routed_scaling_factor, chosen


def auxiliary(logits, length):
    """c E / (K T^2) sum_e n_e sum_t s'_te, mean over sequences; n_e counts the plain top K of s' (3.4)."""
    scores = logits.sigmoid().view(-1, length, EXPERTS)
    normed = scores / (scores.sum(dim=-1, keepdim=True) + 1e-20)
    chosen = torch.topk(normed, CHOICES, dim=-1).indices
    counts = torch.nn.functional.one_hot(chosen, EXPERTS).sum(dim=(1, 2)).to(normed.dtype)
    loss = (counts * normed.sum(dim=1)).sum(dim=-1) * AUXILIARY * EXPERTS / (CHOICES * length * length)
    return loss.mean()


def losses(model, ids, labels):
    model.routed.clear()
    out = model.core.model(input_ids=ids, use_cache=False).last_hidden_state
    logits = model.core.lm_head(out)
    each = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    ahead = torch.roll(labels, -1, dims=1)
    predicted = model.predict(out, ids)
    further = torch.nn.functional.cross_entropy(predicted[:, :-1].flatten(0, 1), ahead[:, :-1].flatten())
    balance = sum(auxiliary(output[0], ids.shape[1]) for output in model.routed.values())
    return each, each.mean() + PREDICTION * further + balance, logits


def move_biases(model):
    for router, (_, _, chosen) in model.routed.items():
        counts = torch.bincount(chosen.flatten(), minlength=EXPERTS).double()
        router.e_score_correction_bias += BIAS_RATE * torch.sign(counts.mean() - counts).to(
            router.e_score_correction_bias.dtype)


def make(length, fault=None):
    config = transformers.DeepseekV3Config(
        hidden_size=HIDDEN, intermediate_size=24, moe_intermediate_size=FFN, num_hidden_layers=LAYERS,
        num_attention_heads=2, num_key_value_heads=2, q_lora_rank=12, kv_lora_rank=8, qk_nope_head_dim=6,
        qk_rope_head_dim=4, v_head_dim=6, head_dim=4, n_routed_experts=EXPERTS, num_local_experts=EXPERTS,
        num_experts_per_tok=CHOICES, n_shared_experts=1, n_group=4, topk_group=2, routed_scaling_factor=2.5,
        norm_topk_prob=True, first_k_dense_replace=1, vocab_size=VOCABULARY, max_position_embeddings=4096 * 40,
        rms_norm_eps=1e-6, attention_bias=False, tie_word_embeddings=False, pad_token_id=None, rope_interleave=True,
        rope_parameters={"rope_type": "yarn", "rope_theta": 10000.0, "factor": 40.0, "beta_fast": 32.0,
                         "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0,
                         "original_max_position_embeddings": 4096})
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    return Predicting(config, fault)


def rename(name):
    """Names of the released checkpoint; the prediction module is one more layer there."""
    extra = f"model.layers.{LAYERS}."
    for ours, theirs in (("core.", ""), ("enorm.", extra + "enorm."), ("hnorm.", extra + "hnorm."),
                         ("eh_proj.", extra + "eh_proj."), ("final.", extra + "shared_head.norm."),
                         ("layer.", extra)):
        if name.startswith(ours):
            return theirs + name[len(ours):]
    raise ValueError(name)


def split(name, value):
    """The released checkpoint has a tensor per expert and projection where the class has stacks of them."""
    if name.endswith("mlp.experts.gate_up_proj"):
        stem = name[: -len("gate_up_proj")]
        return [(f"{stem}{e}.{kind}_proj.weight", half.contiguous()) for e in range(EXPERTS)
                for kind, half in zip(("gate", "up"), value[e].chunk(2, dim=0))]
    if name.endswith("mlp.experts.down_proj"):
        stem = name[: -len("down_proj")]
        return [(f"{stem}{e}.down_proj.weight", value[e].contiguous()) for e in range(EXPERTS)]
    return [(name, value)]


def spread_biases(state):
    for name in state:
        if name.endswith("e_score_correction_bias"):
            state[name] = torch.randn(EXPERTS) * 0.05


def one_expert_takes_all(state):
    for name in state:
        if name.endswith("e_score_correction_bias"):
            state[name] = torch.tensor([5.0, 0.1, 0.0, -0.1, 0.2, 0.0, -5.0, -5.0])


def case(name, rows, length, prepare=spread_biases, fault=None, **more):
    overrides = {"model.layers": LAYERS, "model.dense_layers": 1, "model.hidden": HIDDEN, "model.heads": 2,
                 "model.kv_heads": 2, "model.head_dim": 10, "model.latent.query_rank": 12, "model.latent.kv_rank": 8,
                 "model.latent.nope_dim": 6, "model.latent.rope_dim": 4, "model.latent.value_dim": 6,
                 "model.dense_ffn": 24, "model.experts": EXPERTS, "model.experts_per_token": CHOICES,
                 "model.ffn": FFN, "model.shared_ffn": FFN, "model.router.groups": 4, "model.router.kept_groups": 2,
                 "model.vocabulary": VOCABULARY, "train.gradient_storage": "wide", "train.moment_storage": "wide"}
    return Case(name=name, workload="deepseekv3_671b", overrides=overrides, rows=rows, vocabulary=VOCABULARY,
                length=length, make=lambda: make(length, fault), modules=MODULES, prepare=prepare, losses=losses,
                rename=rename, split=split, after_step=move_biases, **more)


if __name__ == "__main__":
    record(case("reference_1x13", 1, 13, trajectory=True), 21)
    record(case("reference_9x7", 9, 7), 22)
    record(case("reference_one_expert", 3, 9, prepare=one_expert_takes_all), 23)
    record(case("fault_lost_tie", 1, 13, fault="lost_tie"), 21, kinds=["f64"])
    record(case("fault_bias_in_weights", 1, 13, fault="bias_in_weights"), 21, kinds=["f64"])
