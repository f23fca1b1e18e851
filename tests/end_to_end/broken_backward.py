#!/usr/bin/env python3
# Breaks one backward at a time and lets the small run judge: does the target, or the convergence check, notice?
# SPDX-License-Identifier: Apache-2.0
"""broken_backward.py [--seeds 2] [--only NAME,...] [--jobs 2] [--output TABLE.md]

For every fault below: a copy of the sources with that fault is built, the small run of gpt_oss_20b is trained with some
seeds, and each run is judged by `timetrial check`, which holds its samples to target against the workload's reference
convergence points. A fault is caught when a run misses the target or falls outside their interval. Data
and build/cpu must be there (scripts/quickstart.sh). Takes some minutes per fault; exit code 1 only when a fault no longer applies to
the sources, so that this list cannot rot.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# name: (what is wrong, file, sound text, faulty text)
FAULTS = {
    "none": ("nothing: the control", None, None, None),
    "rope": ("rotary backward turns forward again", "src/ops/rope.cpp",
             "void rope_backward(const Rope& a, StreamRef stream) { dispatch(a, -1, stream); }",
             "void rope_backward(const Rope& a, StreamRef stream) { dispatch(a, 1, stream); }"),
    "attention": ("scores' gradient without the softmax term delta", "src/ops/cpu/attention_block.cpp",
                  "d = e * (d_row[j + l] - row_delta);", "d = e * d_row[j + l] + 0 * row_delta;"),
    "query-scale": ("query gradient without the softmax scale, four times too long", "src/ops/cpu/attention.cpp",
                    ".alpha = static_cast<float>(s.scale)", ".alpha = 1"),
    "activation": ("gate's share of the activation gradient halved", "src/ops/cpu/gated_activation.cpp",
                   "d_g[i] = d * act.by_g;", "d_g[i] = d * act.by_g / 2;"),
    "router": ("router logits get no gradient", "src/ops/cpu/routing.cpp",
               "row[expert[c]] = gate[c] * (d_gate[c] - mean);", "row[expert[c]] = 0 * (d_gate[c] - mean);"),
    "norm": ("RMSNorm backward without the term through the statistics", "src/ops/cpu/rms_norm.cpp",
             "d_x[j] = rstd * (weight[j] * d_out[j]) - x[j] * factor;",
             "d_x[j] = rstd * (weight[j] * d_out[j]) - 0 * x[j] * factor;"),
    "embedding": ("embedding table gets no gradient", "src/ops/cpu/embedding.cpp",
                  "row[j] += d_out[i * columns + j];", "row[j] += 0 * d_out[i * columns + j];"),
    "sinks": ("sinks get no gradient", "src/ops/cpu/attention.cpp",
              "a.d_sinks.data<float>()[h] = static_cast<float>(-sum);",
              "a.d_sinks.data<float>()[h] = static_cast<float>(0 * sum);"),
    "expert-bias": ("biases of the experts get no gradient", "src/ops/cpu/grouped_matmul.cpp",
                    "add_scaled(out + columns.begin, part, T{1}, columns.end - columns.begin);",
                    "add_scaled(out + columns.begin, part, T{0}, columns.end - columns.begin);"),
}


def copy_sources(folder):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)


def apply(folder, fault):
    _, name, sound, faulty = FAULTS[fault]
    if name is None:
        return None
    path = folder / name
    text = path.read_text()
    if text.count(sound) != 1:
        sys.exit(f"{fault}: {name} no longer holds exactly once: {sound}")
    path.write_text(text.replace(sound, faulty))
    return path, text


def build(folder):
    commands = (["cmake", "-S", str(folder), "-B", str(folder / "build/cpu"), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"],
                ["cmake", "--build", str(folder / "build/cpu"), "--target", "timetrial-worker"])
    for command in commands:
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            sys.exit(f"the build failed:\n{result.stdout[-3000:]}")
    return folder / "build/cpu/bin/timetrial-worker"  # as deep as the real one: ccache then knows the files


def train(worker, folder, seed):
    """What `timetrial check` says of a run of the small variant."""
    output = folder / f"run-{seed}"
    subprocess.run([str(worker), "configs/small/gpt_oss_20b.json", "--set", f"output.folder={output}", "--set",
                    f"train.seed={seed}", "--set", "device.threads=1"], cwd=ROOT, capture_output=True,
                   env={**os.environ, "GOMP_SPINCOUNT": "0"})
    judged = subprocess.run([str(ROOT / "build/cpu/bin/timetrial"), "check", "--json", str(output / "result_0.txt")],
                            capture_output=True, text=True)
    return json.loads(judged.stdout)["logs"][0]["convergence"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", help="faults, comma-separated")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at once, one thread each")
    parser.add_argument("--output", help="also write the table there")
    args = parser.parse_args()
    names = args.only.split(",") if args.only else list(FAULTS)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        copy_sources(folder)
        for name in names:
            restored = apply(folder, name)
            worker = build(folder)
            runs = folder / name
            with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
                judged = list(pool.map(lambda seed: train(worker, runs, seed), range(901, 901 + args.seeds)))
            if any(j["verdict"] == "other_settings" for j in judged):
                sys.exit(f"{name}: {judged[0]['difference']}; the faults cannot be judged")
            caught = [j["verdict"] != "as_expected" for j in judged]
            verdict = "caught" if all(caught) else "caught by some seeds" if any(caught) else "slips through"
            if name == "none":
                verdict = "FALSE ALARM" if any(caught) else "passes, as it should"
            rows.append((name, FAULTS[name][0],
                         ", ".join("missed" if j["verdict"] == "missed" else f"{j['samples']:.0f}" for j in judged), verdict))
            print("| " + " | ".join(rows[-1]) + " |", flush=True)
            if restored:
                restored[0].write_text(restored[1])
    limits = judged[0]
    table = [f"Samples to target; {limits['reference_runs']} reference runs expect {limits['expected_lowest']:.0f} to "
             f"{limits['expected_highest']:.0f}.", "", "| fault | what is wrong | samples to target | verdict |", "|---|---|---|---|"]
    table += ["| " + " | ".join(row) + " |" for row in rows]
    if args.output:
        pathlib.Path(args.output).write_text("\n".join(table) + "\n")


if __name__ == "__main__":
    main()
