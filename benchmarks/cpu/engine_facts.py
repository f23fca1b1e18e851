#!/usr/bin/env python3
# What one likes to know of the CPU engine beside its speed: threads, start-up, memory against the plan, time per op.
# SPDX-License-Identifier: Apache-2.0
"""engine_facts.py [--shapes 1m,small,10m] [--rounds 3] [--set KEY=VALUE]... [--output FILE.md]

After scripts/quickstart.sh. Prints Markdown: tokens/s with 1 and 2 threads in turns, seconds from command to the first
step, what the process holds at most beside what `timetrial plan` says, and the op table of `timetrial profile`.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from process_memory import run_and_watch

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks/gpt_oss"))
from gpt_oss_runs import variant, write_tokens  # noqa: E402

CONFIG = "configs/small/gpt_oss_20b.json"
DATA = ROOT / "data/gcide"


def program(*arguments, name="timetrial"):
    return [str(ROOT / "build/cpu/bin" / name), *arguments]


def output_of(command):
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    if done.returncode:
        sys.exit(done.stderr.strip())
    return done.stdout


def of_shape(shape, folder, more):
    """Settings of a shape, `more` of them last. One with fewer token ids than the corpus has gets the corpus with its ids cut to them."""
    settings = ["--set", f"variant={shape}", "--set", "train.seed=1"]
    vocabulary = variant(shape)["model"]["vocabulary"]
    if vocabulary < 2048:
        for part in ("train", "validation"):
            settings += ["--set", f"data.{part}={write_tokens(DATA / f'gcide-{part}', pathlib.Path(folder) / part, vocabulary)}"]
    return settings + [word for one in more for word in ("--set", one)]


def profile(settings, threads, steps):
    return json.loads(output_of(program("profile", CONFIG, "--json", "--steps", str(steps), *settings, "--set", f"device.threads={threads}")))


def rate(result):
    return result["steps"] * result["tokens_per_step"] / result["seconds"]


def threads_table(shape, settings, rounds):
    rates = {1: [], 2: []}
    for _ in range(rounds):
        for count, kept in rates.items():
            kept.append(rate(profile(settings, count, 5)))
    one, two = (statistics.median(rates[n]) for n in (1, 2))
    return f"| {shape} | {one:,.0f} | {two:,.0f} | {two / one:.2f} |"


def short_run(config, folder, settings):
    """A run of a few steps: seconds from command to run_start, the peaks of its pages, and its own plan's bytes."""
    output = pathlib.Path(folder) / f"run-{time.time_ns()}"
    settings = [*settings, "--set", f"output.folder={output}"]
    plan = json.loads(output_of(program("plan", config, "--json", *settings)))
    began = time.time()
    process, _, peaks = run_and_watch(program(config, *settings, name="timetrial-worker"), cwd=ROOT, stderr=subprocess.DEVNULL)
    if process.returncode not in (0, 1):  # 1: the target was not reached in those steps
        sys.exit(f"a run of {config} with {' '.join(settings)} failed")
    ready = next(json.loads(line.split(":::MLLOG ", 1)[1])["time_ms"] / 1000
                 for line in (output / "result_0.txt").read_text().splitlines() if '"key": "run_start"' in line)
    return ready - began, peaks, plan["bytes_per_rank"]["total"]


def program_bytes(folder):
    """Private pages that a run without a model holds beside its plan: the program's own."""
    _, peaks, planned = short_run("configs/small/null.json", folder, ["--set", "train.max_steps=600", "--set", "evaluation.every_samples=4800"])
    return peaks["private"] - planned


def memory_row(shape, settings, own, folder):
    seconds, peaks, planned = short_run(CONFIG, folder, [
        *settings, "--set", "train.max_steps=3", "--set", "train.decay_steps=100", "--set", "train.warmup_steps=1",
        "--set", f"evaluation.every_samples={3 * variant(shape)['train']['global_batch']}", "--set", "evaluation.samples=8"])
    mib = " | ".join(f"{size / 2**20:.1f}" for size in (planned, peaks["private"], own, peaks["generated_code"], peaks["files"]))
    return f"| {shape} | {seconds:.2f} | {mib} | {(peaks['private'] - own) / planned:.3f} |"


def ops_table(shape, settings):
    result = profile(settings, os.cpu_count(), 10)
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
    parser.add_argument("--shapes", default="1m,small,10m")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], help="of every run but the one without a model, e.g. device.dtype=bf16")
    parser.add_argument("--output")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for part in ("train", "validation"):
            (pathlib.Path(folder) / part).mkdir()
        shapes = {shape: of_shape(shape, folder, args.set) for shape in args.shapes.split(",")}
        lines = ["| shape | tokens/s, 1 thread | 2 threads | ratio |", "|---|---|---|---|"]
        lines += [threads_table(shape, settings, args.rounds) for shape, settings in shapes.items()]
        lines += ["", "| shape | command to run_start, s | planned MiB | private pages MiB | of it the program's | generated code | files | private "
                  "without the program's / plan |", "|---|---|---|---|---|---|---|---|"]
        own = program_bytes(folder)
        lines += [memory_row(shape, settings, own, folder) for shape, settings in shapes.items()]
        for shape, settings in shapes.items():
            lines += ["", *ops_table(shape, settings)]
    text = "\n".join(lines) + "\n"
    print(text)
    if args.output:
        pathlib.Path(args.output).write_text(text)


if __name__ == "__main__":
    main()
