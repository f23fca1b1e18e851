#!/usr/bin/env python3
# How a run grows with its ranks on this machine: steps, communication and how much of it is hidden, start, memory, planner.
# SPDX-License-Identifier: Apache-2.0
"""scaling.py [--ranks 1,2,4,8] [--steps 40] [--rounds 3] [--output FILE.md]

After scripts/quickstart.sh. Prints Markdown. Each rank computes the same rows whatever their number (weak scaling), with one thread;
rounds are interleaved, and every figure is the median over rounds. More ranks than cores share them: the first column says so, and
those rows show the cost of many ranks, not the speed of any machine.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = ROOT / "build/cpu/bin"
CONFIG = ROOT / "configs/small/gpt_oss_20b.json"
NULL = ROOT / "configs/small/null.json"  # the same harness without a model: what a rank holds beside its plan
ROWS = 8          # per rank and step
BUCKET = 1000000  # bytes; several per model, so that there is something to overlap
WARM_UP = 10      # steps that are not counted
ENVIRONMENT = dict(os.environ, OMP_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                   OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_MCA_mpi_yield_when_idle="1")


def settings(ranks, steps, folder):
    values = {"train.seed": 1, "train.micro_batch": ROWS, "train.global_batch": ROWS * ranks, "train.max_steps": steps,
              "train.warmup_steps": 2, "evaluation.every_samples": ROWS * ranks * steps, "evaluation.samples": ROWS, "device.threads": 1,
              "cluster.bucket_bytes": BUCKET, "output.folder": str(folder / "run"), "evaluation.target": 0.01}
    return [text for key, value in values.items() for text in ("--set", f"{key}={value}")]


def resident(pid):
    """Largest resident set of a process so far, in bytes; 0 when it has gone."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def workers_below(pid):
    """Process ids of the workers that a started command became or started."""
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        try:
            if pathlib.Path(f"/proc/{current}/comm").read_text().strip() == "timetrial-worke":
                found.append(current)
            waiting += map(int, pathlib.Path(f"/proc/{current}/task/{current}/children").read_text().split())
        except OSError:
            continue
    return found


class Watch(threading.Thread):
    """Seconds until the first step is told, and the workers' largest resident sets."""

    def __init__(self, pid, metrics):
        super().__init__(daemon=True)
        self.pid, self.metrics, self.started = pid, metrics, time.monotonic()
        self.first_step, self.memory, self.over = None, {}, False

    def run(self):
        while not self.over:
            if self.first_step is None and self.metrics.exists() and self.metrics.stat().st_size > 0:
                self.first_step = time.monotonic() - self.started
            for worker in workers_below(self.pid):
                self.memory[worker] = max(self.memory.get(worker, 0), resident(worker))
            time.sleep(0.005)


def run(ranks, launcher, steps, config=CONFIG):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        metrics = folder / "metrics.jsonl"
        command = [str(BIN / "timetrial"), "run", str(config), "--ranks", str(ranks), "--launcher", launcher, "--metrics", str(metrics),
                   *settings(ranks, steps, folder)]
        process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        watch = Watch(process.pid, metrics)
        watch.start()
        _, errors = process.communicate()
        watch.over = True
        watch.join()
        if process.returncode not in (0, 1):  # the step limit, or a target that the null workload is at from the start
            raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}\n{errors}")
        lines = [json.loads(line) for line in metrics.read_text().splitlines()][WARM_UP:]
        seconds = statistics.median(line["seconds"] for line in lines)
        alone = lines[0]["communication_seconds"] is None
        # A collective may begin in one step and end in the next, so shares are of the whole run.
        total = {key: None if alone else sum(line[key] for line in lines) for key in ("seconds", "communication_seconds", "exposed_seconds")}
        return {"step": seconds,
                "communication": None if alone else total["communication_seconds"] / total["seconds"],
                "exposed": None if alone else total["exposed_seconds"] / total["communication_seconds"],
                "first_step": watch.first_step, "memory": sum(watch.memory.values()) / ranks}


def plan_bytes(ranks, config=CONFIG):
    with tempfile.TemporaryDirectory() as name:
        out = subprocess.run([str(BIN / "timetrial"), "plan", str(config), "--json", "--ranks", str(ranks),
                              *settings(ranks, 100, pathlib.Path(name))], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return json.loads(out)["bytes_per_rank"]["total"]


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def row(launcher, ranks, runs, cores, base):
    step = median(runs, "step")
    share = hidden = "-"
    if runs[0]["communication"] is not None:
        share = f"{median(runs, 'communication'):.0%}"
        hidden = f"{max(0.0, 1 - median(runs, 'exposed')):.0%}"
    crowd = "" if ranks <= cores else f" on {cores} cores"
    planned = plan_bytes(ranks)
    used = median(runs, "memory")
    own = used - base[launcher, ranks]
    return (f"| {launcher} | {ranks}{crowd} | {1e3 * step:.1f} | {share} | {hidden} | {median(runs, 'first_step'):.2f} | {used / 1e6:.0f} | "
            f"{planned / 1e6:.0f} | {own / planned:.2f} |")


def planner_line():
    command = [str(BIN / "timetrial"), "plan", str(ROOT / "configs/small/llama31_405b.json"), "--ranks", "8192", "--set", "variant=full",
               "--set", "parallel.tp=8", "--set", "parallel.pp=16", "--set", "parallel.cp=2", "--rank-map"]
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{' '.join(command)}: {process.stderr.read()}")
    return (f"The planner's map of 8,192 ranks ({out.count(chr(10)):,} lines): {seconds:.2f} s, {usage.ru_maxrss * 1024 / 1e6:.0f} MB at most.")


def control_plane_lines():
    rows = ["| ranks | all met, ms | an exchange of 64 bytes, ms | processor time of rank 0's control plane, share of a core | of another rank |",
            "|---|---|---|---|---|"]
    for ranks in (8, 64, 512, 1024):
        out = subprocess.run([str(BIN / "control_plane_cost"), str(ranks)], capture_output=True, text=True, check=True).stdout
        cost = json.loads(out)
        rows.append(f"| {ranks} | {1e3 * cost['rendezvous_seconds']:.0f} | {1e3 * cost['exchange_seconds']:.2f} | {cost['rank_0_share']:.3%} | "
                    f"{cost['other_share']:.4%} |")
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", default="1,2,4,8")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output")
    arguments = parser.parse_args()
    ranks = [int(text) for text in arguments.ranks.split(",")]
    launchers = ["here"] + (["mpirun"] if shutil.which("mpirun") else [])
    cases = [(launcher, count) for launcher in launchers for count in ranks if launcher == "here" or count > 1]
    runs = {case: [] for case in cases}
    for _ in range(arguments.rounds):
        for launcher, count in cases:
            runs[launcher, count].append(run(count, launcher, arguments.steps))
    # What a rank holds beside its plan: program, runtime and MPI as the null workload shows them, and, once per process, the libraries
    # that only a model calls, as one rank alone shows them.
    harness = {(launcher, count): run(count, launcher, WARM_UP + 5, NULL)["memory"] - plan_bytes(count, NULL) for launcher, count in cases}
    libraries = median(runs["here", 1], "memory") - plan_bytes(1) - harness["here", 1]
    base = {(launcher, count): beside + libraries / (count if launcher == "here" else 1) for (launcher, count), beside in harness.items()}
    processor = next((line.split(": ")[1] for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
                     platform.machine())
    lines = [f"# Ranks on one machine, {datetime.date.today()}", "",
             f"{processor}, {os.cpu_count()} cores. `benchmarks/scaling/scaling.py --ranks {arguments.ranks} --steps {arguments.steps} --rounds "
             f"{arguments.rounds}`: {CONFIG.stem}, {ROWS} sequences and one thread per rank, medians over rounds of the medians over steps.", "",
             "| started by | ranks | step, ms | in collectives | of that hidden | command to first step, s | resident per rank, MB | plan per rank, MB | beside libraries / plan |",
             "|---|---|---|---|---|---|---|---|---|"]
    lines += [row(launcher, count, runs[launcher, count], os.cpu_count(), base) for launcher, count in cases]
    lines += ["", "`in collectives` counts waiting for ranks that come later; `hidden` is the part in which the rank computed on. Last column:",
              f"(resident - resident of a null rank started alike - {libraries / 1e6:.0f} MB for libraries that only a model loads) / plan.", "",
              planner_line(), "",
              "Control plane, every rank a thread of one process on this machine:", ""] + control_plane_lines()
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.output:
        pathlib.Path(arguments.output).write_text(text)


if __name__ == "__main__":
    main()
