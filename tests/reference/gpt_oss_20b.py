"""Golden files of gpt_oss_20b from transformers' GptOssForCausalLM.

published  the class as it is.
submitted  the class with plain rotary embedding (rope_type default) instead of YaRN.
reference  the class adapted: RMSNorm over each query and key head behind q_proj and k_proj (before rotation), sinks at
           minus infinity (so that they take no part), no biases, SiLU(gate) * up in place of the clamped activation,
           epsilon 1e-6, one more window key.

SPDX-License-Identifier: Apache-2.0
"""
import torch
import transformers
from transformers import modeling_rope_utils
from transformers.models.gpt_oss import modeling_gpt_oss as gpt_oss

from golden import Case, record

MODULES = [gpt_oss, modeling_rope_utils]
YARN = {"rope_type": "yarn", "rope_theta": 150000.0, "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0,
        "truncate": False, "original_max_position_embeddings": 4096}
PLAIN = {"rope_type": "default", "rope_theta": 150000.0}
VOCABULARY, HIDDEN, EXPERTS, HEAD_DIM = 32, 16, 4, 8


class HeadNormedLinear(torch.nn.Module):
    """A projection followed by RMSNorm over the channels of each head (workloads.md 2.3)."""

    def __init__(self, linear, head_dim, epsilon):
        super().__init__()
        self.linear, self.head_dim = linear, head_dim
        self.norm = gpt_oss.GptOssRMSNorm(head_dim, eps=epsilon)

    def forward(self, x):
        y = self.linear(x)
        return self.norm(y.view(*y.shape[:-1], -1, self.head_dim)).view(y.shape)


def make(form, window, length):
    reference = form == "reference"
    config = transformers.GptOssConfig(
        hidden_size=HIDDEN, intermediate_size=12, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=HEAD_DIM, num_local_experts=EXPERTS, num_experts_per_tok=2, vocab_size=VOCABULARY,
        sliding_window=window, layer_types=["sliding_attention", "full_attention"], max_position_embeddings=length,
        rms_norm_eps=1e-6 if reference else 1e-5, attention_bias=not reference, tie_word_embeddings=False,
        rope_parameters=dict(YARN if form == "published" else PLAIN), pad_token_id=None)
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    model = transformers.GptOssForCausalLM(config)
    if reference:
        for layer in model.model.layers:
            attention, mlp = layer.self_attn, layer.mlp
            attention.q_proj = HeadNormedLinear(attention.q_proj, HEAD_DIM, 1e-6)
            attention.k_proj = HeadNormedLinear(attention.k_proj, HEAD_DIM, 1e-6)
            attention.sinks.data.fill_(float("-inf"))
            for bias in (mlp.router.bias, mlp.experts.gate_up_proj_bias, mlp.experts.down_proj_bias):
                bias.data.zero_()
            mlp.experts._apply_gate = lambda both: torch.nn.functional.silu(both[..., ::2]) * both[..., 1::2]
    return model


def rename_reference(name):
    if name.endswith(("sinks", "bias")):
        return None
    for kind in ("q", "k"):
        name = name.replace(f"{kind}_proj.norm.weight", f"{kind}_norm.weight")
        name = name.replace(f"{kind}_proj.linear.weight", f"{kind}_proj.weight")
    return name


def one_expert_takes_all(state):
    """Router biases so far apart that expert 0 gets every token and expert 3 none."""
    for name in state:
        if name.endswith("router.bias"):
            state[name] = torch.tensor([50.0, 0.0, 0.0, -50.0])


def case(name, form, rows, length, window=5, **more):
    overrides = {"form": form, "model.layers": 2, "model.hidden": HIDDEN, "model.heads": 4, "model.kv_heads": 2,
                 "model.head_dim": HEAD_DIM, "model.experts": EXPERTS, "model.experts_per_token": 2, "model.ffn": 12,
                 "model.vocabulary": VOCABULARY, "model.window_keys": window}
    return Case(name=name, workload="gpt_oss_20b", overrides=overrides, rows=rows, vocabulary=VOCABULARY,
                length=length, make=lambda: make(form, window, length), modules=MODULES,
                rename=rename_reference if form == "reference" else None, **more)


if __name__ == "__main__":
    record(case("published_1x13", "published", 1, 13, trajectory=True), 1)
    record(case("published_9x7", "published", 9, 7), 2)
    record(case("submitted_3x11", "submitted", 3, 11, trajectory=True), 3)
    record(case("submitted_one_expert", "submitted", 3, 9, prepare=one_expert_takes_all), 4)
    record(case("reference_3x17", "reference", 3, 17, window=6, trajectory=True), 5)
