"""evaluate_exported.py CHECKPOINT PREFIX SEQUENCES LENGTH: loads a folder that the engine wrote with transformers' own
from_pretrained and prints the mean loss over the first sequences of a token file, in nats per token.

SPDX-License-Identifier: Apache-2.0
"""
import struct
import sys

import numpy
import torch
import transformers


def tokens(prefix):
    with open(prefix + ".idx", "rb") as file:
        header = file.read(34)
    kind = {8: numpy.uint16, 4: numpy.int32, 1: numpy.uint8}[struct.unpack_from("<B", header, 17)[0]]
    return numpy.fromfile(prefix + ".bin", dtype=kind).astype(numpy.int64)


def load(checkpoint):
    """The folder's model, of the class that its config.json names; every weight must have come from the folder.

    DeepSeek-V3's class skips the prediction module by the released model's layer number, 61; in other shapes that layer is
    reported as unexpected, and nothing else may be.
    """
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
        checkpoint, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    module = f"model.layers.{model.config.num_hidden_layers}."
    if model.config.model_type == "deepseek_v3" and model.config.num_nextn_predict_layers == 1:
        report["unexpected_keys"] = {key for key in report["unexpected_keys"] if not key.startswith(module)}
    wrong = {key: value for key, value in report.items() if value}
    if wrong:
        sys.exit(f"{checkpoint}: transformers does not take the checkpoint as it is: {wrong}")
    return model.eval()


if __name__ == "__main__":
    checkpoint, prefix, sequences, length = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    model = load(checkpoint)
    stream = torch.from_numpy(tokens(prefix))
    total = 0.0
    with torch.no_grad():
        for i in range(sequences):
            row = stream[i * length: i * length + length + 1][None]
            logits = model(input_ids=row[:, :-1], use_cache=False).logits
            total += float(torch.nn.functional.cross_entropy(logits[0].double(), row[0, 1:]))
    print(total / sequences)
