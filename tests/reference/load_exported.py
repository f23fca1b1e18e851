"""load_exported.py --writer export_logits --program timetrial: transformers' own from_pretrained loads checkpoints that the
engine wrote, and that `timetrial checkpoint convert` cut into shards, and must find the engine's logits.

Prints a row of docs/fidelity.md per case: the largest difference of a logit over the largest logit. Allowed: 1e-5. With a
seeded fault (two rows of one weight exchanged) the comparison must fail, or it would prove nothing. Exit code 77 where torch
or transformers are not installed.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy
    import torch
    import transformers
except ImportError as missing:
    print(f"skipped: {missing}; pip install -r tests/reference/requirements.txt, and set TIMETRIAL_REFERENCE_PYTHON")
    sys.exit(77)

from evaluate_exported import load

ALLOWED = 1e-5


def worst(model, ids, expected):
    with torch.no_grad():
        logits = model(input_ids=ids, use_cache=False).logits.flatten(0, 1).numpy()
    if logits.shape != expected.shape:
        sys.exit(f"logits {logits.shape}, the engine has {expected.shape}")
    return float(numpy.abs(logits - expected).max() / numpy.abs(expected).max())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--writer", required=True)
    parser.add_argument("--program", required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    failed = False
    with tempfile.TemporaryDirectory(prefix="timetrial-exported-") as name:
        root = pathlib.Path(name)
        subprocess.run([arguments.writer, name], check=True)
        for case in json.loads((root / "cases.json").read_text()):
            folder = root / case["name"]
            ids = torch.from_numpy(numpy.fromfile(folder / "ids.i32", dtype="<i4").astype("int64"))
            ids = ids.reshape(case["rows"], case["length"])
            for kind in ("fp32", "bf16"):
                expected = numpy.fromfile(folder / f"{kind}.logits.f32", dtype="<f4").reshape(ids.numel(), -1)
                shards = folder / f"{kind}-shards"
                subprocess.run([arguments.program, "checkpoint", "convert", folder / kind, shards, "--dtype", kind,
                                "--shard-gb", "0.0005"], check=True, capture_output=True)
                count = len(list(shards.glob("model-*-of-*.safetensors")))
                whole, cut = load(folder / kind), load(shards)
                differences = worst(whole, ids, expected), worst(cut, ids, expected)
                good = max(differences) <= ALLOWED and differences[0] == differences[1] and count > 1
                print(f"| {case['name'].replace('-', ' `')}` | {type(whole).__name__} | {kind} | {count} | {max(differences):.1e} |",
                      flush=True)
                if not good:
                    print(f"   not as it should be: {differences}, {count} shards")
                failed = failed or not good
            with torch.no_grad():
                weight = cut.model.layers[1].self_attn.o_proj.weight
                weight[[0, 1]] = weight[[1, 0]]
            if worst(cut, ids, expected) <= ALLOWED:
                print("   two rows of a weight exchanged, and the comparison did not see it")
                failed = True
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
