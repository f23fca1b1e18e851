#!/usr/bin/env python3
# Breaks one backward at a time and lets the small run judge: does the target, or the convergence check, notice?
# SPDX-License-Identifier: Apache-2.0
"""broken_backward.py [--seeds 2] [--only NAME,...] [--jobs 2] [--output TABLE.md]
broken_backward.py --applies

For every fault below: a copy of the sources with that fault is built, the small run of gpt_oss_20b is trained with some
seeds, and each run is judged by `timetrial check`, which holds its samples to target against the workload's reference
convergence points. A fault is caught when a run misses the target or falls outside their interval. The same build's
test_ops then says whether the tests of the op, which compare each gradient by itself, see the fault. Data and build/cpu
must be there (scripts/quickstart.sh). About two minutes per fault; exit code 1 when a verdict is not the one that stands beside
the fault, or a fault no longer applies to the sources. --applies only looks whether all do.
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
CAUGHT, SLIPS = "caught", "slips through"


class Fault:
    """A wrong text for a sound one, what the small run is known to make of it, and the tests of the op (gtest filter)."""

    def __init__(self, wrong, verdict, file=None, sound=None, faulty=None, tests=None):
        self.wrong, self.verdict, self.file, self.sound, self.faulty, self.tests = wrong, verdict, file, sound, faulty, tests

    def applies(self):
        return self.file is None or (ROOT / self.file).read_text().count(self.sound) == 1


FAULTS = {
    "none": Fault("nothing: the control", SLIPS, tests="*"),
    "rope": Fault("rotary backward turns forward again", CAUGHT, "src/ops/rope.cpp",
                  "void rope_backward(const Rope& a, StreamRef stream) { dispatch(a, -1, stream); }",
                  "void rope_backward(const Rope& a, StreamRef stream) { dispatch(a, 1, stream); }", "*Rope*"),
    "attention": Fault("scores' gradient without the softmax term delta", CAUGHT, "src/ops/cpu/attention_block.cpp",
                       "d = e * (d_row[j + l] - row_delta);", "d = e * d_row[j + l] + 0 * row_delta;", "*Attention*"),
    "query-scale": Fault("query gradient without the softmax scale, four times too long", CAUGHT, "src/ops/cpu/attention.cpp",
                         ".alpha = static_cast<float>(s.scale)", ".alpha = 1", "*Attention*"),
    "norm": Fault("RMSNorm backward without the term through the statistics", CAUGHT, "src/ops/cpu/rms_norm.cpp",
                  "d_x[j] = rstd * (weight[j] * d_out[j]) - x[j] * factor;",
                  "d_x[j] = rstd * (weight[j] * d_out[j]) - 0 * x[j] * factor;", "*RmsNorm*"),
    "activation": Fault("gate's share of the activation gradient halved", SLIPS, "src/ops/cpu/gated_activation.cpp",
                        "d_g[i] = d * act.by_g;", "d_g[i] = d * act.by_g / 2;", "*GatedActivation*"),
    "router": Fault("router logits get no gradient", SLIPS, "src/ops/cpu/routing.cpp",
                    "row[expert[c]] = gate[c] * (d_gate[c] - mean);", "row[expert[c]] = 0 * (d_gate[c] - mean);", "*Rout*"),
    "embedding": Fault("embedding table gets no gradient", SLIPS, "src/ops/cpu/embedding.cpp",
                       "row[j] += d_out[i * columns + j];", "row[j] += 0 * d_out[i * columns + j];", "*Embedding*"),
    "sinks": Fault("sinks get no gradient", SLIPS, "src/ops/cpu/attention.cpp",
                   "a.d_sinks.data<float>()[h] = static_cast<float>(-sum);",
                   "a.d_sinks.data<float>()[h] = static_cast<float>(0 * sum);", "*Attention*"),
    "expert-bias": Fault("biases of the experts get no gradient", SLIPS, "src/ops/cpu/grouped_matmul.cpp",
                         "add_scaled(out + columns.begin, part, T{1}, columns.end - columns.begin);",
                         "add_scaled(out + columns.begin, part, T{0}, columns.end - columns.begin);", "*GroupedMatmul*"),
}


def copy_sources(folder):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)


def apply(folder, fault):
    if fault.file is None:
        return None
    path = folder / fault.file
    text = path.read_text()
    path.write_text(text.replace(fault.sound, fault.faulty))
    return path, text


def build(folder):
    commands = (["cmake", "-S", str(folder), "-B", str(folder / "build/cpu"), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"],
                ["cmake", "--build", str(folder / "build/cpu"), "--target", "timetrial-worker", "test_ops"])
    for command in commands:
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            sys.exit(f"the build failed:\n{result.stdout[-3000:]}")
    return folder / "build/cpu/bin"  # as deep as the real one: ccache then knows the files


def train(programs, folder, seed):
    """What `timetrial check` says of a run of the small variant."""
    output = folder / f"run-{seed}"
    subprocess.run([str(programs / "timetrial-worker"), "configs/small/gpt_oss_20b.json", "--set", f"output.folder={output}", "--set",
                    f"train.seed={seed}", "--set", "device.threads=1"], cwd=ROOT, capture_output=True,
                   env={**os.environ, "GOMP_SPINCOUNT": "0"})
    judged = subprocess.run([str(ROOT / "build/cpu/bin/timetrial"), "check", "--json", str(output / "result_0.txt")],
                            capture_output=True, text=True)
    return json.loads(judged.stdout)["logs"][0]["convergence"]


def op_tests_see(programs, fault):
    """Whether the op's own tests fail on the CPU."""
    done = subprocess.run([str(programs / "test_ops"), f"--gtest_filter={fault.tests}:-*cuda*", "--gtest_fail_fast"], cwd=ROOT,
                          capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if "Running 0 tests" in done.stdout:
        sys.exit(f"no test of the ops is named {fault.tests}")
    return done.returncode != 0


def judge(name, args, folder):
    """One row of the table, and whether it is as known."""
    fault = FAULTS[name]
    restored = apply(folder, fault)
    programs = build(folder)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        runs = list(pool.map(lambda seed: train(programs, folder / name, seed), range(901, 901 + args.seeds)))
    seen = op_tests_see(programs, fault)
    if restored:
        restored[0].write_text(restored[1])
    if any(run["verdict"] == "other_settings" for run in runs):
        sys.exit(f"{name}: {runs[0]['difference']}; the faults cannot be judged")
    caught = [run["verdict"] != "as_expected" for run in runs]
    verdict = CAUGHT if all(caught) else SLIPS if not any(caught) else "caught by some seeds"
    row = (name, fault.wrong, ", ".join("missed" if run["verdict"] == "missed" else f"{run['samples']:.0f}" for run in runs),
           verdict if fault.file else "passes, as it should" if verdict == SLIPS else "FALSE ALARM",
           "fail" if seen else "pass")
    print("| " + " | ".join(row) + " |", flush=True)
    return row, runs[0], verdict == fault.verdict and seen == (fault.file is not None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", help="faults, comma-separated")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at once, one thread each")
    parser.add_argument("--output", help="also write the table there")
    parser.add_argument("--applies", action="store_true", help="only look whether every fault still applies to the sources")
    args = parser.parse_args()
    gone = [name for name, fault in FAULTS.items() if not fault.applies()]
    if gone:
        sys.exit("\n".join(f"{name}: {FAULTS[name].file} no longer holds exactly once: {FAULTS[name].sound}" for name in gone))
    if args.applies:
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        copy_sources(folder)
        judged = [judge(name, args, folder) for name in (args.only.split(",") if args.only else FAULTS)]
    limits = judged[0][1]
    table = [f"Samples to target; {limits['reference_runs']} reference runs expect {limits['expected_lowest']:.0f} to "
             f"{limits['expected_highest']:.0f}.", "",
             "| fault | what is wrong | samples to target | verdict of the run | the op's own tests |", "|---|---|---|---|---|"]
    table += ["| " + " | ".join(row) + " |" for row, _, _ in judged]
    if args.output:
        pathlib.Path(args.output).write_text("\n".join(table) + "\n")
    changed = [row[0] for row, _, as_known in judged if not as_known]
    print(f"{len(judged)} faults, the control among them: {'all judged as known' if not changed else 'NOT as known: ' + ', '.join(changed)}")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
