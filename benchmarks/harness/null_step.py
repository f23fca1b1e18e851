#!/usr/bin/env python3
"""What a training step costs without a model: runs the null workload and prints microseconds per step by part.

Usage, from the checkout's root after `scripts/quickstart.sh` (it needs data/gcide):
  benchmarks/harness/null_step.py [--rounds 5] [--steps 20000] [--bin build/cpu/bin]
Two shapes: batches and sequences of the small run, and of the full gpt_oss_20b benchmark (16 x 8192 tokens). Wall seconds are
the program's own (monotonic clock, between run start and run stop). CPU time is that of all threads of the process; start-up is
taken out by the difference of a long and a short run.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARTS = (("data", "waiting for the next batch"), ("step", "staging, optimizer of one parameter, loss"), ("log", "handing records to the log"),
         ("progress", "telling a person"), ("rest", "loop and schedule"))


def run(binary, shape, steps, batch):
    """The outcome of one run, with the CPU seconds of its process."""
    with tempfile.TemporaryDirectory(prefix="timetrial-null-") as folder:
        line = [str(binary), "run", "configs/small/null.json", "--json", "--set", f"variant={shape}", "--set", f"output.folder={folder}/run",
                "--set", f"evaluation.every_samples={steps * batch}", "--set", f"train.max_steps={steps}", "--set", "evaluation.samples=32", "--set", "train.seed=1"]
        process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        output, errors = process.stdout.read(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"null_step.py: the run ended with exit code {process.returncode}: {errors.strip().splitlines()[-1]}")
        log = os.path.getsize(f"{folder}/run/result_0.txt")
        return json.loads(output), usage.ru_utime + usage.ru_stime, log


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20000, help="steps of a long run; a short one has a tenth")
    parser.add_argument("--bin", default=str(ROOT / "build/cpu/bin"))
    arguments = parser.parse_args()
    binary = pathlib.Path(arguments.bin) / "timetrial"
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")),
               platform.machine())
    print(f"{cpu}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start; median of {arguments.rounds} rounds [smallest, largest]\n")
    for shape, batch, tokens in (("small", 32, 128), ("full", 16, 8192)):
        steps, short = arguments.steps // (1 if shape == "small" else 20), arguments.steps // (10 if shape == "small" else 200)
        rows = {}
        for _ in range(arguments.rounds):
            brief, brief_cpu, brief_log = run(binary, shape, short, batch)
            outcome, cpu_seconds, log = run(binary, shape, steps, batch)
            parts = outcome["seconds_by_part"]
            for part, _ in PARTS:
                rows.setdefault(part, []).append(1e6 * parts[part] / outcome["steps"])
            rows.setdefault("all", []).append(1e6 * (outcome["seconds"] - parts["evaluation"]) / outcome["steps"])
            rows.setdefault("cpu", []).append(1e6 * (cpu_seconds - brief_cpu) / (outcome["steps"] - brief["steps"]))
            rows.setdefault("bytes", []).append((log - brief_log) / (outcome["steps"] - brief["steps"]))
        print(f"{shape}: {batch} sequences of {tokens} tokens per step, {steps} steps per run")
        for name, meaning in (("all", "everything but the model, microseconds per step"),) + PARTS:
            print(f"  {name:<9}{statistics.median(rows[name]):9.1f}  [{min(rows[name]):.1f}, {max(rows[name]):.1f}]  {meaning}")
        print(f"  {'cpu':<9}{statistics.median(rows['cpu']):9.1f}  [{min(rows['cpu']):.1f}, {max(rows['cpu']):.1f}]  CPU microseconds per step, all threads")
        print(f"  {'log':<9}{statistics.median(rows['bytes']):9.1f}  bytes of log per step\n")


if __name__ == "__main__":
    main()
