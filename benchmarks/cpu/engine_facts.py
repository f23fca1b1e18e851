#!/usr/bin/env python3
# What one likes to know of the CPU engine beside its speed: threads, start-up, memory against the plan, time per op.
# SPDX-License-Identifier: Apache-2.0
"""engine_facts.py [--shapes small,10m] [--rounds 3] [--output FILE.md]

After scripts/quickstart.sh. Prints Markdown: tokens/s with 1 and 2 threads in turns, seconds from command to the first
step, largest resident set beside what `timetrial plan` says, and the op table of `timetrial profile`.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CONFIG = "configs/small/gpt_oss_20b.json"


def start(arguments):
    """Output and largest resident set of the program."""
    process = subprocess.Popen([str(ROOT / "build/cpu/bin/timetrial"), *arguments], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return out, usage.ru_maxrss * 1024


def profile(shape, threads, steps):
    out, _ = start(["profile", CONFIG, "--json", "--steps", str(steps), "--set", f"variant={shape}", "--set",
                    f"device.threads={threads}", "--set", "train.seed=1"])
    return json.loads(out)


def rate(result):
    return result["steps"] * result["tokens_per_step"] / result["seconds"]


def threads_table(shape, rounds):
    rates = {1: [], 2: []}
    for _ in range(rounds):
        for count, kept in rates.items():
            kept.append(rate(profile(shape, count, 5)))
    one, two = (statistics.median(rates[n]) for n in (1, 2))
    return f"| {shape} | {one:,.0f} | {two:,.0f} | {two / one:.2f} |"


def short_run(shape, folder, *more):
    """A run of three steps: seconds from command to run_start, largest resident set, its plan's bytes."""
    settings = ["--set", f"variant={shape}", "--set", "train.seed=1", *more]
    plan, _ = start(["plan", CONFIG, "--json", *settings])
    output = pathlib.Path(folder) / f"run-{time.time_ns()}"
    began = time.time()
    _, peak = start(["run", CONFIG, *settings, "--set", f"output.folder={output}", "--set", "train.max_steps=3", "--set",
                     "train.decay_steps=100", "--set", "train.warmup_steps=1", "--set", "evaluation.every_samples=96",
                     "--set", "evaluation.samples=8"])
    ready = next(json.loads(line.split(":::MLLOG ", 1)[1])["time_ms"] / 1000
                 for line in (output / "result_0.txt").read_text().splitlines() if '"key": "run_start"' in line)
    return ready - began, peak, json.loads(plan)["bytes_per_rank"]["total"]


def memory_row(shape, folder):
    """Program, libraries and the code they generate are what the same shape with one layer takes beyond its own plan."""
    _, peak, planned = short_run(shape, folder, "--set", "model.layers=1")
    libraries = peak - planned
    seconds, peak, planned = short_run(shape, folder)
    return (f"| {shape} | {seconds:.2f} | {planned / 2**20:.1f} | {peak / 2**20:.1f} | {libraries / 2**20:.1f} | "
            f"{(peak - libraries) / planned:.3f} |")


def ops_table(shape):
    result = profile(shape, os.cpu_count(), 10)
    ceilings, steps = result["ceilings"], result["steps"]
    yield (f"`{shape}`, {result['threads']} threads, {rate(result):,.0f} tokens/s; ceilings: products "
           f"{ceilings['flops_per_second'] / 1e9:.0f} GFLOP/s, memory {ceilings['bytes_per_second'] / 1e9:.0f} GB/s")
    yield ""
    yield "| op | ms per step | share | GFLOP/s | of ceiling | GB/s | of ceiling |"
    yield "|---|---|---|---|---|---|---|"
    for op in result["ops"][:12]:
        flops, moved = op["flops"] / op["seconds"], op["bytes"] / op["seconds"]
        share = "?" if result["ceiling_is_low"] else f"{100 * flops / ceilings['flops_per_second']:.0f} %"
        products = f"{flops / 1e9:.0f} | {share}" if op["flops"] else "- | -"
        yield (f"| {op['name']} | {1e3 * op['seconds'] / steps:.2f} | {100 * op['seconds'] / result['seconds']:.1f} % | "
               f"{products} | {moved / 1e9:.0f} | {100 * moved / ceilings['bytes_per_second']:.0f} % |")
    yield (f"| outside ops | {1e3 * result['outside_ops_seconds'] / steps:.2f} | "
           f"{100 * result['outside_ops_seconds'] / result['seconds']:.1f} % | | | | |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default="small,10m")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output")
    args = parser.parse_args()
    shapes = args.shapes.split(",")
    lines = ["| shape | tokens/s, 1 thread | 2 threads | ratio |", "|---|---|---|---|"]
    lines += [threads_table(shape, args.rounds) for shape in shapes]
    lines += ["", "| shape | command to run_start, s | planned MiB | largest resident MiB | of it program and libraries | rest / plan |",
              "|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        lines += [memory_row(shape, folder) for shape in shapes]
    for shape in shapes:
        lines += ["", *ops_table(shape)]
    text = "\n".join(lines) + "\n"
    print(text)
    if args.output:
        pathlib.Path(args.output).write_text(text)


if __name__ == "__main__":
    main()
