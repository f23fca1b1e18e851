"""Golden files of llama31_405b from transformers' LlamaForCausalLM, with rope_type llama3 at 8 times 8192 tokens.

The MLPerf form is the class with a vocabulary padded to a multiple: rows past the tokenizer's ids are ordinary logits
that never are a label, so the class needs no change, only more rows than ids.

SPDX-License-Identifier: Apache-2.0
"""
import transformers
from transformers import modeling_rope_utils
from transformers.models.llama import modeling_llama as llama

from golden import Case, record

MODULES = [llama, modeling_rope_utils]
HIDDEN, HEAD_DIM = 16, 8


def make(rows, length):
    config = transformers.LlamaConfig(
        hidden_size=HIDDEN, intermediate_size=20, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=1,
        head_dim=HEAD_DIM, vocab_size=rows, max_position_embeddings=length, rms_norm_eps=1e-5, attention_bias=False,
        mlp_bias=False, tie_word_embeddings=False, pad_token_id=None, bos_token_id=None, eos_token_id=None,
        rope_parameters={"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
                         "high_freq_factor": 4.0, "original_max_position_embeddings": 8192})
    config._attn_implementation = "eager"
    return transformers.LlamaForCausalLM(config)


def case(name, form, rows, length, vocabulary, multiple, **more):
    padded = -(-vocabulary // multiple) * multiple
    overrides = {"form": form, "model.layers": 2, "model.hidden": HIDDEN, "model.heads": 4, "model.kv_heads": 1,
                 "model.head_dim": HEAD_DIM, "model.ffn": 20, "model.vocabulary": vocabulary,
                 "model.vocabulary_multiple": multiple, "train.warmup_form": "above_zero",
                 "train.decay_from": "warmup"}
    return Case(name=name, workload="llama31_405b", overrides=overrides, rows=rows, vocabulary=vocabulary,
                length=length, make=lambda: make(padded, length), modules=MODULES, **more)


if __name__ == "__main__":
    record(case("reference_1x13", "reference", 1, 13, 30, 16, trajectory=True), 11)
    record(case("reference_3x9", "reference", 3, 9, 25, 8, trajectory=True), 12)
    record(case("published_9x7", "published", 9, 7, 32, 1), 13)
