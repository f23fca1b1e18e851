#!/usr/bin/env python3
# Trains the same small model on the same tokens with timetrial and with PyTorch, in turns on the same cores.
# SPDX-License-Identifier: Apache-2.0
"""train_vs_pytorch.py [--shapes 1m,10m] [--rounds 3] [--steps 24] [--threads 2] [--output FILE]

Run it with a Python that has torch and numpy, from anywhere, after scripts/quickstart.sh has built the programs and
prepared the data. First every way PyTorch offers (gpt_oss_torch.py; eager and compiled; the whole batch at once and the
variant's micro batch) runs a few steps and the fastest is kept; then both train in turns, each turn a new process. A
step is what the variant says: global batch, accumulation, clip, AdamW, on the samples that the engine draws with seed
1, in its order. Figures are medians over all turns' steps after the first four of a turn. Peak memory is the process's
largest resident set. Exit code 1 when the engine is slower than PyTorch on a shape.
"""
import argparse
import itertools
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks/gpt_oss"))
from gpt_oss_runs import engine_config, logged_steps, variant, write_tokens  # noqa: E402

WARM = 4  # steps of a turn that are not counted


def measure(command, environment):
    """Runs a process to its end: its standard output and the largest resident set in bytes."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment, text=True)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        # 1 is a target that was not reached: a few steps reach none.
        if process.returncode not in (0, 1):
            sys.exit(f"{command[0]} failed with exit code {process.returncode}:\n{err.read()[-2000:]}")
        return out.read(), usage.ru_maxrss * 1024


def run_timetrial(args, name, tokens, folder):
    output = pathlib.Path(folder) / f"run-{time.time_ns()}"
    train = variant(name)["train"]
    path = engine_config(name, tokens, output, {
        "device": {"kind": "cpu", "threads": args.threads},
        "train": {"max_steps": args.steps, "micro_batch": train["micro_batch"], "global_batch": train["global_batch"]}})
    _, peak = measure([str(ROOT / "build/cpu/bin/timetrial"), "run", str(path)], environment(args))
    steps = logged_steps(output / "result_0.txt")
    return {"seconds": [s["seconds"] for s in steps], "loss": steps[-1]["loss"], "peak": peak}


def write_samples(args, name, tokens):
    """What the engine's first steps train on, sample after sample of length + 1 tokens, for PyTorch. In a process of its own, which
    may grow: the order of all samples is drawn for it."""
    samples = f"{tokens}-samples-{name}"
    measure([sys.executable, __file__, "--child", json.dumps(
        {"name": name, "tokens": str(tokens), "samples": samples, "count": max(args.steps, WARM + 3) * variant(name)["train"]["global_batch"]})],
        environment(args))
    return samples


def draw_samples(task):
    """Writes the samples that the engine draws with seed 1, by numpy's own shuffles (tests/reference/sample_order.py)."""
    import numpy
    sys.path.insert(0, str(ROOT / "tests/reference"))
    from sample_order import document_lengths, layout
    length = variant(task["name"])["model"]["sequence_length"]
    _, _, stream, shuffled = layout(document_lengths(task["tokens"] + ".idx"), length, task["count"], 1)
    tokens = numpy.fromfile(task["tokens"] + ".bin", dtype=numpy.uint16)
    with open(task["samples"], "wb") as out:
        for sample in shuffled[:task["count"]].astype(int):
            out.write(tokens[stream[sample * length:(sample + 1) * length + 1]].tobytes())


def run_torch(args, name, samples, way, steps):
    out, peak = measure([sys.executable, __file__, "--child", json.dumps(
        {"name": name, "samples": samples, "way": way, "steps": steps, "threads": args.threads})], environment(args))
    return {**json.loads(out.splitlines()[-1]), "peak": peak}


def environment(args):
    return {**os.environ, "OMP_NUM_THREADS": str(args.threads), "MKL_NUM_THREADS": str(args.threads)}


def child(task):
    """PyTorch's side of a turn, in its own process."""
    import numpy
    import torch
    from gpt_oss_torch import GptOss
    torch.set_num_threads(task["threads"])
    torch.manual_seed(1)
    spec, way = variant(task["name"]), task["way"]
    shape, train = spec["model"], spec["train"]
    model = GptOss(shape, way)
    forward = torch.compile(model) if way["compiled"] else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.95), eps=1e-5, weight_decay=0.1, fused=True)
    length, batch, micro = shape["sequence_length"], train["global_batch"], way["micro_batch"]
    samples = torch.from_numpy(numpy.fromfile(task["samples"], dtype=numpy.uint16).astype(numpy.int32)).long().view(-1, length + 1)
    seconds, loss = [], 0.0
    for step in range(task["steps"]):
        started = time.perf_counter()
        ids, labels = (samples[step * batch:(step + 1) * batch, column:column + length] for column in (0, 1))
        for group in optimizer.param_groups:
            group["lr"] = train["learning_rate"] * min(1.0, step / train["warmup_steps"])
        optimizer.zero_grad(set_to_none=True)
        loss = 0.0
        for row in range(0, batch, micro):
            part = forward(ids[row:row + micro], labels[row:row + micro]) * (micro / batch)
            part.backward()
            loss += part.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seconds.append(time.perf_counter() - started)
    print(json.dumps({"torch": torch.__version__, "seconds": seconds, "loss": loss, "parameters": sum(p.numel() for p in model.parameters())}))


def fastest_way(args, name, samples):
    """The micro batch that suits PyTorch first (the variant's, or the whole batch at once), then every way with it."""
    spec = variant(name)
    train, rows = spec["train"], []

    def try_way(attention, experts, compiled, micro):
        way = {"attention": attention, "experts": experts, "micro_batch": micro, "compiled": compiled}
        result = run_torch(args, name, samples, way, WARM + 3)
        rows.append({"way": way, "seconds": statistics.median(result["seconds"][WARM:])})
        tokens_per_second = train["global_batch"] * spec["model"]["sequence_length"] / rows[-1]["seconds"]
        print(f"  PyTorch {attention}, {experts} experts, micro batch {micro}, {'compiled' if compiled else 'eager'}: "
              f"{tokens_per_second:,.0f} tokens/s", flush=True)

    for attention, micro in itertools.product(("sdpa", "plain"), (train["micro_batch"], train["global_batch"])):
        try_way(attention, "loop", False, micro)
    best = min(rows, key=lambda r: r["seconds"])["way"]["micro_batch"]
    for attention, experts, compiled in itertools.product(("sdpa", "plain"), ("loop", "padded", "grouped"), (False, True)):
        # Padded shapes change with every batch; eager loops are measured already.
        if not (compiled and experts == "padded") and (compiled or experts != "loop"):
            try_way(attention, experts, compiled, best)
    return min(rows, key=lambda r: r["seconds"])["way"], rows


def compare(args, name, folder):
    spec = variant(name)
    tokens = write_tokens(ROOT / args.data, folder, spec["model"]["vocabulary"])
    samples = write_samples(args, name, tokens)
    print(f"{name}: choosing among PyTorch's ways", flush=True)
    way, rows = fastest_way(args, name, samples)
    turns = {"timetrial": [], "pytorch": []}
    for _ in range(args.rounds):
        turns["timetrial"].append(run_timetrial(args, name, tokens, folder))
        turns["pytorch"].append(run_torch(args, name, samples, way, args.steps))
    per_step = spec["train"]["global_batch"] * spec["model"]["sequence_length"]
    result = {"shape": name, "way": way, "ways": rows, "tokens_per_step": per_step, "turns": turns}
    for engine, all_turns in turns.items():
        seconds = [s for turn in all_turns for s in turn["seconds"][WARM:]]
        result[engine] = {"tokens_per_second": per_step / statistics.median(seconds), "steps": len(seconds),
                          "peak_bytes": max(turn["peak"] for turn in all_turns), "last_loss": all_turns[-1]["loss"]}
    result["ratio"] = result["timetrial"]["tokens_per_second"] / result["pytorch"]["tokens_per_second"]
    return result


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default="1m,10m", help="variants of gpt_oss_20b")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each engine")
    parser.add_argument("--steps", type=int, default=24, help="optimizer steps of a turn")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--data", default="data/gcide/gcide-train", help="token files, prefix")
    parser.add_argument("--output", help="raw rows as JSON")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        task = json.loads(args.child)
        return child(task) if "way" in task else draw_samples(task)
    results = {"processor": processor(), "threads": args.threads,
               "command": " ".join(pathlib.Path(a).name if i == 0 else a for i, a in enumerate(sys.argv)), "shapes": []}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.shapes.split(","):
            results["shapes"].append(compare(args, name, folder))
    results["torch"] = results["shapes"][0]["turns"]["pytorch"][0]["torch"]
    worst = min(results["shapes"], key=lambda s: s["ratio"])
    print(f"timetrial is {worst['ratio']:.2f} times as fast as PyTorch {results['torch']} or more "
          f"({processor()}, {args.threads} threads)")
    print(f"{'shape':6} {'engine':10} {'tokens/s':>10} {'peak MiB':>9} {'last loss':>9}  steps")
    for shape in results["shapes"]:
        for engine in ("timetrial", "pytorch"):
            row = shape[engine]
            print(f"{shape['shape']:6} {engine:10} {row['tokens_per_second']:10,.0f} {row['peak_bytes'] / 2**20:9.0f} "
                  f"{row['last_loss']:9.4f}  {row['steps']}")
        print(f"{shape['shape']:6} ratio      {shape['ratio']:10.2f}")
    if args.output:
        pathlib.Path(args.output).write_text(json.dumps(results, indent=1) + "\n")
    return 0 if worst["ratio"] >= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
