# What the GPT-OSS benchmarks share: a variant's numbers, a config for some steps of the engine, and the steps its log tells of.
# SPDX-License-Identifier: Apache-2.0
import array
import json
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def variant(name):
    benchmark = json.loads((ROOT / "workloads/gpt_oss_20b/benchmark.json").read_text())
    if name not in benchmark["variants"]:
        sys.exit(f"gpt_oss_20b has no variant '{name}'; there are {', '.join(benchmark['variants'])}")
    entry = benchmark["variants"][name]
    form = entry["forms"]["submitted"]
    return {"model": {**entry["model"], **form["model"]}, "train": {**entry["train"], **form.get("train", {})}}


def write_tokens(source, folder, vocabulary):
    """The corpus with every id below `vocabulary`: a smaller model reads the same text with fewer distinct tokens. In
    pieces and without numpy: a process starts with its parent's largest resident set, so this one stays small."""
    target = pathlib.Path(folder) / f"tokens-{vocabulary}"
    with open(str(source) + ".bin", "rb") as whole, open(str(target) + ".bin", "wb") as part:
        while piece := whole.read(1 << 20):
            part.write(array.array("H", (token % vocabulary for token in array.array("H", piece))).tobytes())
    shutil.copy(str(source) + ".idx", str(target) + ".idx")
    return target


def engine_config(name, tokens, output, sections):
    """Writes the config of a run of `train.max_steps` steps that reaches no target; its path. `sections` go on top."""
    train = variant(name)["train"]
    asked = {**train, **sections["train"]}
    config = {
        "workload": "gpt_oss_20b", "variant": name, "data": {"train": str(tokens), "validation": str(tokens)},
        "output": {"folder": str(output)},
        "evaluation": {"samples": asked["micro_batch"], "every_samples": asked["max_steps"] * asked["global_batch"], "target": 0.001},
        **sections,
        "train": {"decay_steps": train["max_steps"] - train["warmup_steps"], "seed": 1, **sections["train"]},
    }
    path = pathlib.Path(output).with_suffix(".json")
    path.write_text(json.dumps(config))
    return path


def logged_steps(log):
    """Per step of a log: seconds, end (seconds since the epoch), loss."""
    steps = []
    for line in pathlib.Path(log).read_text().splitlines():
        record = json.loads(line.split(":::MLLOG ", 1)[1])
        if record["key"] == "tracked_stats" and "train_step_time" in record["value"]:
            value = record["value"]
            steps.append({"seconds": value["train_step_time"], "end": record["time_ms"] / 1000, "loss": value["reduced_train_loss"]})
    return steps


def plan(programs, name, tokens, settings):
    """`timetrial plan --json` of a variant. `settings`: key to value, as --set takes them."""
    config = pathlib.Path(str(tokens) + "-plan.json")
    config.write_text(json.dumps({"workload": "gpt_oss_20b", "variant": name, "data": {"train": str(tokens), "validation": str(tokens)},
                                  "output": {"folder": str(tokens) + "-plan"}}))
    command = [str(pathlib.Path(programs) / "timetrial"), "plan", str(config), "--json"]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    out = subprocess.run(command, capture_output=True, text=True)
    if out.returncode:
        sys.exit(f"{' '.join(command)} failed: {out.stderr.strip()[-2000:]}")
    return json.loads(out.stdout)
