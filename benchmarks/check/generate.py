# Folders of made-up logs of the sizes that real rounds have, for check.py. No run stands behind any of them.
# SPDX-License-Identifier: Apache-2.0
"""generate.py FOLDER [--logs N] [--megabytes M] [--seed S]

Writes N logs, result_<i>.txt in folders of ten, benchmarks of ruleset 5.1.0 in turn, all sound, of M megabytes together.
Records are like those of real logs: hyperparameters, blocks, evaluations, and a train-step record every few steps with
the fields that training stacks log; every second log has rank prefixes, every third has other output between the records.
"""
import argparse
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/official"))
sys.dont_write_bytecode = True
import cases  # noqa: E402
import sound_logs  # noqa: E402


def step_record(rng, clock, step):
    return (f':::MLLOG {{"namespace": "", "time_ms": {clock}, "event_type": "POINT_IN_TIME", "key": "tracked_stats", '
            f'"value": {{"train_step_time": {rng.uniform(2, 3)!r}, "reduced_train_loss": {rng.uniform(2, 9)!r}, '
            f'"throughput": {rng.uniform(300, 400)!r}, "max_memory": {rng.randrange(10 ** 11)}}}, "metadata": '
            f'{{"file": "/workspace/llm/callbacks/custom_callbacks.py", "lineno": {rng.randrange(200, 400)}, '
            f'"samples_count": {step * 1152}, "step": {step}}}}}')


def log_lines(rng, benchmark, size):
    records = sound_logs.sound_log("5.1.0", "closed", benchmark)
    lines = [cases.line_of(record) for record in records]
    start = next(i for i, record in enumerate(records) if record["key"] == "block_start") + 1
    steps, length, clock = [], sum(map(len, lines)), records[start]["time_ms"]
    while length < size:
        steps.append(step_record(rng, clock, len(steps)))
        length += len(steps[-1]) + 1
    return lines[:start] + steps + lines[start:]


def write_log(path, rng, number, benchmark, size):
    lines = log_lines(rng, benchmark, size)
    if number % 2:
        lines = [f"{number % 8:4d}: {line}" for line in lines]
    if number % 3 == 0:
        lines = [text for i, line in enumerate(lines)
                 for text in ([f"[INFO | trainer | step {i}] memory 61.2 GiB, 1.7 PFLOP/s"] if i % 4 == 0 else []) + [line]]
    text = "\n".join(lines) + "\n"
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return len(text), len(lines)


def generate(folder, logs, megabytes, seed):
    rng = random.Random(seed)
    benchmarks = sound_logs.RULESETS["5.1.0"]
    total_bytes, total_lines = 0, 0
    for number in range(logs):
        place = os.path.join(folder, "results", f"system_{number // 10}", benchmarks[number // 10 % len(benchmarks)])
        os.makedirs(place, exist_ok=True)
        # Sizes differ by a factor of four, as in a round.
        size = megabytes * 1e6 / logs * rng.choice([0.4, 0.7, 1.0, 1.3, 1.6])
        written, lines = write_log(os.path.join(place, f"result_{number % 10}.txt"), rng, number,
                                   benchmarks[number // 10 % len(benchmarks)], size)
        total_bytes, total_lines = total_bytes + written, total_lines + lines
    return total_bytes, total_lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--logs", type=int, default=100)
    parser.add_argument("--megabytes", type=float, default=25)
    parser.add_argument("--seed", type=int, default=20260729)
    arguments = parser.parse_args()
    size, lines = generate(arguments.folder, arguments.logs, arguments.megabytes, arguments.seed)
    print(f"{arguments.logs} logs, {size / 1e6:.1f} MB, {lines} lines")


if __name__ == "__main__":
    main()
