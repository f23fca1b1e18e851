# How fast is `timetrial check` on a folder of logs, against MLPerf's own checker on the same files in the same run?
# SPDX-License-Identifier: Apache-2.0
"""check.py --checker build/cpu/bin/timetrial --python .venv/bin/python [--work FOLDER] [--no-round]

Makes 100 logs of 25 MB together (and a round of 1,669 logs of 400 MB), reads each once so that the files are in memory, and times:
  - ours, all processors and one thread, best and median of --repeats runs, process start included;
  - the official checker the way a user runs it, one process per log;
  - the official checker's own functions in one process, without its command line: the least it can take.
Verdicts of both must agree. Prints a table and the ratios.
"""
import argparse
import json
import logging
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import generate  # noqa: E402

RULESET = "5.1.0"


def log_paths(folder):
    return sorted(os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)


def cpu_seconds():
    """Of this process and of its children that have ended."""
    return sum(usage.ru_utime + usage.ru_stime
               for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


class Stopwatch:
    """Wall and processor seconds: on a busy machine only the second kind can be compared."""

    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), cpu_seconds()

    def read(self):
        return time.perf_counter() - self.wall, cpu_seconds() - self.cpu


def warm(paths):
    for path in paths:
        with open(path, "rb") as file:
            file.read()


def run_ours(checker, folder, threads, repeats):
    command = [checker, "check", "--ruleset", RULESET, "--threads", str(threads), "--json", folder]
    seconds = []
    for _ in range(repeats):
        watch = Stopwatch()
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        seconds.append(watch.read())
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return seconds, {log["log"]: log["passed"] for log in json.loads(done.stdout)["logs"]}, peak / 1024


def run_official_processes(python, paths):
    watch = Stopwatch()
    verdicts = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            command = [python, "-m", "mlperf_logging.compliance_checker", "--usage", "training", "--ruleset", RULESET,
                       "--log_output", os.path.join(folder, "log"), path]
            verdicts[path] = subprocess.run(command, capture_output=True, check=False).returncode == 0
    return watch.read(), verdicts


def run_official_in_process(paths):
    from mlperf_logging.compliance_checker import mlp_compliance
    logging.disable(logging.CRITICAL)
    watch = Stopwatch()
    verdicts = {}
    for path in paths:
        mlp_compliance.enqueued_configs.clear()
        checker = mlp_compliance.make_checker("training", RULESET, False, False)
        verdicts[path] = checker.check_file(path, f"training_{RULESET}/common.yaml")
    return watch.read(), verdicts


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                  if line.startswith("model name")), platform.machine()) if os.path.exists("/proc/cpuinfo") else platform.machine()
    return f"{model}, {os.cpu_count()} processors, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def row(name, seconds, bytes_):
    """Prints the row; the best wall time and the best processor time."""
    wall, cpu = min(w for w, _ in seconds), min(c for _, c in seconds)
    median = statistics.median(w for w, _ in seconds)
    print(f"| {name} | {wall:.3f} | {median:.3f} | {cpu:.3f} | {bytes_ / 1e6 / wall:.1f} |", flush=True)
    return wall, cpu


HEAD = "| what | best s | median s | best processor s | MB/s |\n|---|---|---|---|---|"


def ratios(theirs, ours):
    return f"{theirs[0] / ours[0]:.0f}x in wall time, {theirs[1] / ours[1]:.0f}x in processor time"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checker", required=True, help="timetrial, or check_logs of the tests")
    parser.add_argument("--python", required=True, help="Python with mlperf-logging")
    parser.add_argument("--work", help="folder for the logs; default: a temporary one")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--no-round", action="store_true", help="leave the 400 MB round out")
    arguments = parser.parse_args()
    if os.path.abspath(arguments.python) != os.path.abspath(sys.executable):
        os.execv(arguments.python, [arguments.python, *sys.argv])
    print(machine())
    print(f"load before: {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory(dir=arguments.work) as work:
        folder = os.path.join(work, "hundred")
        size, lines = generate.generate(folder, 100, 25, 20260729)
        paths = log_paths(folder)
        warm(paths)
        print(f"\n100 logs, {size / 1e6:.1f} MB, {lines} lines, ruleset {RULESET}\n")
        print(HEAD)
        seconds, ours, _ = run_ours(arguments.checker, folder, 0, arguments.repeats)
        best = row("timetrial check, all processors", seconds, size)
        seconds, _, _ = run_ours(arguments.checker, folder, 1, arguments.repeats)
        best_one = row("timetrial check, one thread", seconds, size)
        in_process, theirs_in = run_official_in_process(paths)
        in_process = row("official checker, one process for all", [in_process], size)
        each, theirs = run_official_processes(arguments.python, paths)
        each = row("official checker, one process per log", [each], size)
        agree = ours == theirs == theirs_in
        print(f"\nverdicts {'agree' if agree else 'DIFFER'}\n"
              f"one process per log / ours, all processors: {ratios(each, best)}\n"
              f"one process per log / ours, one thread:     {ratios(each, best_one)}\n"
              f"one process for all / ours, all processors: {ratios(in_process, best)}\n"
              f"one process for all / ours, one thread:     {ratios(in_process, best_one)}")
        if not arguments.no_round:
            folder = os.path.join(work, "round")
            size, lines = generate.generate(folder, 1669, 400, 20260730)
            warm(log_paths(folder))
            print(f"\n1669 logs, {size / 1e6:.1f} MB, {lines} lines\n\n{HEAD}")
            seconds, verdicts, peak = run_ours(arguments.checker, folder, 0, 3)
            row("timetrial check, all processors", seconds, size)
            agree = agree and all(verdicts.values())
            print(f"\npeak memory of any run of ours: {peak:.0f} MiB")
    print(f"load after: {os.getloadavg()[0]:.2f}")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
