#!/usr/bin/env python3
# Makes the reference convergence points of a workload's small variant: one small run per seed, samples to target kept.
# SPDX-License-Identifier: Apache-2.0
"""convergence_points.py [--workload gpt_oss_20b] [--form submitted] [--seeds 20] [--jobs 2]

Trains configs/small/WORKLOAD.json with seeds 1 to N, one thread each, some at once, and writes the points into
workloads/WORKLOAD/convergence.json, where `timetrial check` finds them after the next build. Run it after a change that
is meant to change convergence (rate, batch, starting values, data), never to make a red check green. A seed that misses
the target ends the script: such a target is no target.
"""
import argparse
import concurrent.futures
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
# What a small run may change and keep its variant's name, though it then needs other samples.
SETTINGS = ["train.global_batch", "train.learning_rate", "train.warmup_steps", "train.sampler", "evaluation.order"]


def train(args, folder, seed):
    output = pathlib.Path(folder) / f"seed-{seed}"
    result = subprocess.run(
        [str(ROOT / "build/cpu/bin/timetrial"), "run", f"configs/small/{args.workload}.json", "--json", "--set",
         f"form={args.form}", "--set", f"train.seed={seed}", "--set", f"output.folder={output}", "--set",
         "device.threads=1"], cwd=ROOT, capture_output=True, text=True)
    if result.returncode not in (0, 1) or not result.stdout.strip():
        sys.exit(f"seed {seed}: exit code {result.returncode}: {result.stderr[-500:]}")
    outcome = json.loads(result.stdout)
    if outcome["outcome"] != "target_reached":
        sys.exit(f"seed {seed} missed the target: {outcome['outcome']} after {outcome['samples']} samples")
    print(f"seed {seed}: {outcome['samples']} samples, loss {outcome['evaluation_loss']:.4f}", flush=True)
    config = json.loads((output / "effective_config.json").read_text())
    settings = {key: config[key.split(".")[0]][key.split(".")[1]] for key in SETTINGS}
    return {"seed": seed, "samples": outcome["samples"], "loss": round(outcome["evaluation_loss"], 4)}, settings


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", default="gpt_oss_20b")
    parser.add_argument("--form", default="submitted")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at once")
    args = parser.parse_args()
    if args.seeds < 5:
        parser.error("--seeds: at least 5 points are needed")
    path = ROOT / "workloads" / args.workload / "convergence.json"
    document = {"schema": "timetrial.convergence/1", "workload": args.workload, "sets": []}
    if path.exists():
        document = json.loads(path.read_text())
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        runs = list(pool.map(lambda seed: train(args, folder, seed), range(1, args.seeds + 1)))
    points, settings = [point for point, _ in runs], runs[0][1]
    source = (f"{datetime.date.today()}, scripts/convergence_points.py --workload {args.workload} --form {args.form} "
              f"--seeds {args.seeds}, {platform.machine()}, fp32, one thread")
    document["sets"] = [s for s in document["sets"] if (s["variant"], s["form"]) != ("small", args.form)]
    document["sets"].append({"variant": "small", "form": args.form, "source": source, "settings": settings, "points": points})
    # One point a line, so that a diff shows which moved.
    text = json.dumps(document, indent=2)
    text = text.replace(json.dumps(settings, indent=2).replace("\n", "\n" + " " * 6), json.dumps(settings))
    for point in points:
        text = text.replace(json.dumps(point, indent=2).replace("\n", "\n" + " " * 8), json.dumps(point))
    path.write_text(text + "\n")


if __name__ == "__main__":
    main()
