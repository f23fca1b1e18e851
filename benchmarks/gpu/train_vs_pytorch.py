#!/usr/bin/env python3
# Trains the 1B GPT-OSS proxy on one GPU with timetrial and with PyTorch, in turns, and times single ops against the chip's ceilings.
# SPDX-License-Identifier: Apache-2.0
"""train_vs_pytorch.py [--lengths 2048,8192] [--accumulations 1,4] [--rounds 2] [--steps 28] [--programs build/cuda/bin] [--output FILE]

Run it with a Python that has torch (CUDA) and numpy on a machine with one idle GPU, after `cmake --build --preset cuda`.
A step is 16,384 tokens (more where accumulation times the sequence is longer): random tokens, forward, backward, clip, AdamW.
Both sides keep bf16 weights and activations and fp32 masters and moments; PyTorch's gradients are bf16, which is less work
than the engine's fp32. For each case PyTorch's eager and compiled ways run a few steps, the fastest of each kind is kept, and
then timetrial, eager and compiled take turns, each turn a new process. Figures are medians over all turns' steps after the
first eight of a turn; steps during which the GPU reported a slowdown are dropped and counted. Memory is the whole GPU's, as
nvidia-smi shows it. MFU is train FLOPs per token by `timetrial plan` (2 per multiply-add, backward twice forward, no recompute,
causal attention by the keys that are seen) over the chip's dense bf16 peak; `of product` is over the measured square product.
"""
import argparse
import datetime
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "benchmarks/gpt_oss")]
import gpu_watch  # noqa: E402
import gpt_oss_runs as shared  # noqa: E402

TOKENS_PER_STEP = 16384
WARM = 8  # steps of a turn that are not counted: compilation, plan searches, clocks that rise
LEAST_COUNTED = 20
WAYS = {"eager": [{"attention": "flex", "experts": "permuted"}, {"attention": "sdpa", "experts": "permuted"},
                  {"attention": "flex", "experts": "loop"}],
        "compiled": [{"attention": "flex", "experts": "permuted"}, {"attention": "flex", "experts": "grouped"},
                     {"attention": "sdpa", "experts": "permuted"}]}


def case_of(tokens, length, accumulation):
    micro = max(1, tokens // accumulation // length)
    return {"length": length, "accumulation": accumulation, "micro_batch": micro, "global_batch": micro * accumulation,
            "tokens": micro * accumulation * length}


def make_tokens(folder, vocabulary, source):
    """Random ids under the index of a real text, because what they say changes no time and their order must not help."""
    target = pathlib.Path(folder) / "random"
    size = pathlib.Path(str(source) + ".bin").stat().st_size // 2
    generator = random.Random(1)
    with open(str(target) + ".bin", "wb") as out:
        for begin in range(0, size, 1 << 20):
            ids = generator.choices(range(vocabulary), k=min(1 << 20, size - begin))
            out.write(b"".join(i.to_bytes(2, "little") for i in ids))
    shutil.copy(str(source) + ".idx", str(target) + ".idx")
    return target


def run_timetrial(args, case, tokens, folder, steps):
    output = pathlib.Path(folder) / f"run-{time.time_ns()}"
    config = shared.engine_config(args.variant, tokens, output, {
        "model": {"sequence_length": case["length"]}, "device": {"kind": args.device, "dtype": args.dtype},
        "train": {"max_steps": steps, "global_batch": case["global_batch"], "micro_batch": case["micro_batch"]}})
    out = subprocess.run([str(args.programs / "timetrial"), "run", str(config)], capture_output=True, text=True)
    if out.returncode not in (0, 1):  # 1: the target was not reached, which is as it should be
        sys.exit(f"timetrial failed with exit code {out.returncode}: {out.stderr.strip()[-2000:]}")
    return {"steps": shared.logged_steps(output / "result_0.txt")}


def run_torch(args, case, tokens, way, steps):
    task = {"case": case, "tokens": str(tokens), "way": way, "steps": steps, "device": args.device, "variant": args.variant}
    out = subprocess.run([sys.executable, __file__, "--child", json.dumps(task)], capture_output=True, text=True)
    if out.returncode:
        last = out.stderr.strip().splitlines()[-1:] or ["no message"]
        return {"error": last[0][:400]}
    return json.loads(out.stdout.splitlines()[-1])


def child(task):
    """PyTorch's side of a turn, in its own process: bf16 weights beside fp32 masters."""
    import numpy
    import torch
    from gpt_oss_torch import GptOss
    case, device = task["case"], task["device"]
    torch.manual_seed(1)
    shape = {**shared.variant(task["variant"])["model"], "sequence_length": case["length"]}
    model = GptOss(shape, task["way"]).to(device=device, dtype=torch.bfloat16)
    if task["way"]["attention"] == "flex":
        model.prepare(device)
    forward = torch.compile(model) if task["way"]["compiled"] else model
    weights = list(model.parameters())
    masters = [w.detach().float() for w in weights]
    for master in masters:
        master.grad = torch.zeros_like(master)
    gradients = [m.grad for m in masters]
    optimizer = torch.optim.AdamW(masters, lr=1e-4, betas=(0.9, 0.95), eps=1e-5, weight_decay=0.1, fused=True)
    length, batch, micro = case["length"], case["global_batch"], case["micro_batch"]
    ids = torch.from_numpy(numpy.fromfile(task["tokens"] + ".bin", dtype=numpy.uint16).astype(numpy.int32)).to(device).long()
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    steps, loss, last = [], 0.0, None
    for step in range(task["steps"]):
        started = time.perf_counter()
        first = step * batch * length % (len(ids) - batch * length - 1)
        x, labels = ids[first:first + batch * length].view(batch, length), ids[first + 1:first + batch * length + 1].view(batch, length)
        total = torch.zeros((), device=device)
        for row in range(0, batch, micro):
            part = forward(x[row:row + micro], labels[row:row + micro]) * (micro / batch)
            part.backward()
            total += part.detach()
        torch._foreach_copy_(gradients, [w.grad for w in weights])
        torch.nn.utils.clip_grad_norm_(masters, 1.0, foreach=True)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_copy_(weights, masters)
        for weight in weights:
            weight.grad = None
        if last is not None:
            loss = last.item()  # a step late, as the engine reads it
        last = total
        wait()
        steps.append({"seconds": time.perf_counter() - started, "end": time.time()})
    print(json.dumps({"torch": torch.__version__, "steps": steps, "loss": loss}))


def usable(result):
    return "error" not in result


def fastest_way(args, case, tokens, compiled):
    """The way that runs fastest here, and what each did; a way that fails is kept with its message."""
    rows = []
    for way in WAYS["compiled" if compiled else "eager"]:
        way = {**way, "compiled": compiled}
        result = run_torch(args, case, tokens, way, WARM + 4)
        seconds = statistics.median(s["seconds"] for s in result["steps"][WARM:]) if usable(result) else None
        rows.append({"way": way, "seconds": seconds, "error": result.get("error")})
        print(f"  {way['attention']} attention, {way['experts']} experts, {'compiled' if compiled else 'eager'}: "
              + (f"{case['tokens'] / seconds:,.0f} tokens/s" if seconds else f"failed: {result['error']}"), flush=True)
    good = [r for r in rows if r["seconds"]]
    return (min(good, key=lambda r: r["seconds"])["way"] if good else None), rows


def watched(args, run):
    watch = gpu_watch.Watch() if args.device == "cuda" else gpu_watch.NoWatch()
    with watch:
        result = run()
    if not usable(result):
        return result
    kept, dropped, capped = gpu_watch.split_steps(result["steps"][WARM:], watch.samples)
    return {**result, "kept": kept, "dropped": dropped, "capped": capped, "peak_bytes": watch.peak_memory(), "samples": watch.samples}


def compare(args, case, tokens, folder):
    print(f"sequence {case['length']}, accumulation {case['accumulation']}: {case['tokens']} tokens per step", flush=True)
    ways, tried = {}, {}
    for kind in ("eager", "compiled"):
        ways[kind], tried[kind] = fastest_way(args, case, tokens, kind == "compiled")
    runs = {"timetrial": lambda: run_timetrial(args, case, tokens, folder, args.steps)}
    for kind, way in ways.items():
        if way:
            runs[f"PyTorch {kind}"] = lambda way=way: run_torch(args, case, tokens, way, args.steps)
    turns = {name: [] for name in runs}
    for _ in range(args.rounds):
        for name, run in runs.items():
            turns[name].append(watched(args, run))
    return {"case": case, "ways": ways, "tried": tried, "turns": turns}


def summary(result, flops_per_token, peak, product):
    """A row per engine; refuses what cannot be."""
    rows = []
    for name, turns in result["turns"].items():
        kept = [s for turn in turns if usable(turn) for s in turn["kept"]]
        dropped = sum(turn.get("dropped", 0) for turn in turns)
        if len(kept) < LEAST_COUNTED:
            rows.append({"engine": name, "note": f"{len(kept)} steps counted, {dropped} dropped: fewer than {LEAST_COUNTED}"})
            continue
        rate = result["case"]["tokens"] / statistics.median(kept)
        tflops = rate * flops_per_token / 1e12
        if peak and tflops > peak:
            sys.exit(f"{name}: {tflops:.0f} TFLOP/s is above the chip's peak of {peak}: the measurement is wrong")
        rows.append({"engine": name, "tokens_per_second": rate, "tflops": tflops, "mfu": tflops / peak if peak else None,
                     "of_product": tflops / product, "peak_bytes": max(t["peak_bytes"] for t in turns if usable(t)),
                     "steps": len(kept), "dropped": dropped, "capped": sum(t.get("capped", 0) for t in turns)})
    base = next((r.get("tokens_per_second") for r in rows if r["engine"] == "timetrial"), None)
    for row in rows:
        if base and "tokens_per_second" in row:
            row["ratio"] = base / row["tokens_per_second"]
    return rows


def print_rows(case, rows):
    for r in rows:
        head = f"{case['length']:6} {case['accumulation']:5} {r['engine']:17}"
        if "note" in r:
            print(head, r["note"])
            continue
        mfu = f"{100 * r['mfu']:5.1f} %" if r["mfu"] else "unknown"
        print(head, f"{r['tokens_per_second']:10,.0f} {r['tflops']:8.1f} {mfu:>7} {100 * r['of_product']:8.1f} % "
              f"{r['peak_bytes'] / 2**30:8.2f} {r.get('ratio', float('nan')):6.2f} {r['steps']:6} {r['dropped']:7} {r['capped']:6}")


def single_ops(args, length):
    task = {"device": args.device, "dtype": args.dtype, "tokens": args.tokens, "length": length,
            "model": shared.variant(args.variant)["model"]}
    out = subprocess.run([str(args.programs / "op_times"), json.dumps(task)], capture_output=True, text=True)
    if out.returncode:
        sys.exit(f"op_times failed with exit code {out.returncode}: {out.stderr.strip()[-2000:]}")
    return json.loads(out.stdout)["ops"]


def print_ops(args, length, ops):
    product = next(op["flops"] / op["seconds"] for op in ops if op["name"] == "ceiling: square product")
    copy = next(op["bytes"] / op["seconds"] for op in ops if op["name"] == "ceiling: copy")
    print(f"\nsingle ops, {args.tokens} tokens, sequence {length}\n{'op':52} {'us':>10} {'TFLOP/s':>9} {'of product':>10} {'GB/s':>8} {'of copy':>8}")
    for op in ops:
        rate, bandwidth = op["flops"] / op["seconds"], op["bytes"] / op["seconds"]
        print(f"{op['name']:52} {1e6 * op['seconds']:10.1f} {rate / 1e12:9.2f} {100 * rate / product:9.1f}% "
              f"{bandwidth / 1e9:8.0f} {100 * bandwidth / copy:7.1f}%")
    return product / 1e12


def dense_peak(name):
    """TFLOP/s in bf16 by the table that the engine has too; None when the chip is not in it."""
    table = ROOT / "src/config/chips.json"
    chips = json.loads(table.read_text())["chips"] if table.exists() else []
    return next((c["dense_tflops"].get("bf16") for c in chips if name in c["names"]), None)


def check_ways():
    """Every way of the PyTorch model gives the same loss, and where autograd is there the same gradients. Needs no GPU."""
    import torch
    from gpt_oss_torch import GptOss
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shape = {"heads": 4, "kv_heads": 2, "head_dim": 16, "hidden": 32, "window_keys": 24, "sequence_length": 256, "experts": 4,
             "experts_per_token": 2, "ffn": 48, "vocabulary": 64, "layers": 2}
    torch.manual_seed(1)
    ids, labels = torch.randint(64, (2, 256)).to(device), torch.randint(64, (2, 256)).to(device)

    def run(attention, experts):
        torch.manual_seed(2)
        model = GptOss(shape, {"attention": attention, "experts": experts})
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.3 * torch.randn_like(parameter)
        model = model.to(device)
        if attention == "flex":
            model.prepare(device)
        learns = attention != "flex" or device == "cuda"  # flex_attention has no backward on a CPU
        with torch.set_grad_enabled(learns):
            loss = model(ids, labels)
        if learns:
            loss.backward()
        return loss.item(), {n: p.grad for n, p in model.named_parameters()} if learns else {}
    loss, gradients = run("plain", "loop")
    bad = 0
    for attention in ("plain", "sdpa", "flex"):
        for experts in ("loop", "padded", "permuted", "grouped"):
            other, theirs = run(attention, experts)
            off = abs(other - loss) / loss
            worst = max(((theirs[n] - g).norm() / g.norm()).item() for n, g in gradients.items()) if theirs else 0.0
            good = off < 1e-5 and worst < 1e-4
            bad += not good
            print(f"{attention:5} {experts:8} loss off by {off:.1e}, gradients by {worst:.1e}{'' if theirs else ' (not computed)'}"
                  f"{'' if good else '  WRONG'}")
    return 1 if bad else 0


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", default="2048,8192", help="tokens of a sequence")
    parser.add_argument("--accumulations", default="1,4", help="micro batches of a step")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each engine")
    parser.add_argument("--steps", type=int, default=28, help=f"optimizer steps of a turn, the first {WARM} not counted")
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "build/cuda/bin", help="folder of timetrial and op_times")
    parser.add_argument("--data", default="data/gcide/gcide-validation", help="token files whose index is used, prefix")
    parser.add_argument("--output", help="raw rows as JSON")
    parser.add_argument("--check", action="store_true", help="only hold PyTorch's ways against each other; needs no GPU")
    parser.add_argument("--rehearse", action="store_true", help="the whole script with a tiny shape on a CPU build: its figures mean nothing")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.device, args.dtype, args.variant, args.tokens = "cuda", "bf16", "1b", TOKENS_PER_STEP
    if args.rehearse:
        args.device, args.dtype, args.variant, args.tokens, args.lengths = "cpu", "f32", "1m", 512, "64"
    return args


def main():
    args = parse_arguments()
    if args.child:
        return child(json.loads(args.child))
    if args.check:
        return check_ways()
    facts = ["no GPU: a rehearsal"] + 4 * ["-"] if args.rehearse else gpu_watch.query(
        "name,driver_version,memory.total,clocks.max.sm,power.limit")
    if not facts:
        print("train_vs_pytorch.py: no GPU here (nvidia-smi shows none); nothing was measured", file=sys.stderr)
        return 2
    results = {"schema": "timetrial.gpu_benchmark.1", "date": datetime.datetime.now(datetime.timezone.utc).isoformat(),
               "gpu": dict(zip(("name", "driver", "memory_mib", "clock_mhz", "power_limit_w"), facts)),
               "command": " ".join(sys.argv), "cases": [], "ops": {}}
    lengths = [int(n) for n in args.lengths.split(",")]
    for length in lengths:
        results["ops"][length] = single_ops(args, length)
    product = max(print_ops(args, length, ops) for length, ops in results["ops"].items())
    peak = dense_peak(facts[0])
    print(f"\n{facts[0]}, driver {facts[1]}; dense bf16 peak {peak or 'unknown'} TFLOP/s, measured square product {product:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        tokens = make_tokens(folder, shared.variant(args.variant)["model"]["vocabulary"], ROOT / args.data)
        for length in lengths:
            flops = shared.plan(args.programs, args.variant, tokens, {"model.sequence_length": length})["train_flops_per_token"]
            for accumulation in (int(n) for n in args.accumulations.split(",")):
                result = compare(args, case_of(args.tokens, length, accumulation), tokens, folder)
                result["rows"] = summary(result, flops, peak, product)
                results["cases"].append(result)
                if args.output:  # after every case, so that a run that is cut short leaves what it has
                    pathlib.Path(args.output).write_text(json.dumps(results) + "\n")
    print(f"\n{'length':>6} {'accum':>5} {'engine':17} {'tokens/s':>10} {'TFLOP/s':>8} {'MFU':>7} {'of product':>10} {'GiB':>8} {'ratio':>6} "
          f"{'steps':>6} {'dropped':>7} {'capped':>6}")
    for result in results["cases"]:
        print_rows(result["case"], result["rows"])
    print("ratio: timetrial's tokens/s over that row's. dropped: steps in which the GPU reported a slowdown. capped: counted steps at "
          "the power limit.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
