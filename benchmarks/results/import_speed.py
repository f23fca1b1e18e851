#!/usr/bin/env python3
"""Times `timetrial results import` on a generated round beside MLPerf's own summariser and convergence checker, in one run.

SPDX-License-Identifier: Apache-2.0

  .venv/bin/python benchmarks/results/import_speed.py build/cpu/bin/timetrial [--megabytes 400] [--official 40]

The round has the shape of v5.1: organisations with several systems, folders of ten gpt_oss_20b logs, records with a prefix in
half of them, a step record for every step. The official programs, which take minutes for all of it, get the first
organisations only, up to --official megabytes; their time is given as measured, and per megabyte.
"""
import argparse
import contextlib
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time

TOKEN = ":::MLLOG "
BATCH, STEPS_PER_BLOCK = 16, 768
SYSTEM = {name: "x" for name in (
    "submitter status host_processor_model_name host_processor_core_count accelerator_model_name framework hw_notes sw_notes").split()}
CONFIGURATION = {
    "submission_benchmark": "gpt_oss_20b", "submission_org": "TEST", "submission_division": "closed", "submission_status": "onprem",
    "submission_platform": "TEST_generated", "global_batch_size": BATCH, "gradient_accumulation_steps": 1, "max_sequence_length": 8192,
    "eval_samples": 1024, "train_samples": 1574207408, "init_checkpoint_step": 0, "opt_name": "adamw", "opt_base_learning_rate": 4e-4,
    "opt_adamw_beta_1": 0.9, "opt_adamw_beta_2": 0.95, "opt_adamw_epsilon": 1e-5, "opt_adamw_weight_decay": 0.1,
    "opt_gradient_clip_norm": 1.0, "opt_end_learning_rate": 4e-5, "opt_learning_rate_warmup_steps": 128,
    "opt_learning_rate_decay_steps": 1199872, "max_steps": 1200000,
    "opt_learning_rate_decay_schedule": "cosine with linear warmup", "target_accuracy": 3.34,
}


def log_text(seed, blocks, steps_logged):
    now = [1_700_000_000_000 + seed]
    prefix = "  0: " if seed % 2 else ""
    lines = []

    def put(key, value, kind="POINT_IN_TIME", step=7, **metadata):
        now[0] += step
        lines.append(prefix + TOKEN + json.dumps({
            "namespace": "", "time_ms": now[0], "event_type": kind, "key": key, "value": value,
            "metadata": {"file": "/usr/local/lib/python3.12/dist-packages/mlperf_common/callbacks/logging.py", "lineno": 163, **metadata}}))

    put("cache_clear", True)
    put("init_start", None, "INTERVAL_START")
    for key, value in CONFIGURATION.items():
        put(key, value)
    put("seed", seed)
    put("init_stop", None, "INTERVAL_END", step=90_000)
    put("run_start", None, "INTERVAL_START")
    for block in range(blocks):
        samples = block * STEPS_PER_BLOCK * BATCH
        put("block_start", None, "INTERVAL_START", samples_count=samples)
        for step in range(0, STEPS_PER_BLOCK, STEPS_PER_BLOCK // steps_logged):
            put("tracked_stats", {"train_step_time": 0.41 + (step % 7) * 1e-4, "reduced_train_loss": 3.9 - 0.03 * block},
                step=410 * STEPS_PER_BLOCK // steps_logged, step_number=step, samples_count=samples + step * BATCH)
        samples += STEPS_PER_BLOCK * BATCH
        put("block_stop", None, "INTERVAL_END", samples_count=samples)
        put("eval_start", None, "INTERVAL_START", samples_count=samples)
        put("eval_accuracy", 3.33 if block == blocks - 1 else 4.5 - 0.05 * block, step=6000, samples_count=samples)
        put("eval_stop", None, "INTERVAL_END", samples_count=samples)
    put("run_stop", None, "INTERVAL_END", samples_count=samples, status="success")
    return "\n".join(lines) + "\n"


def make_round(folder, megabytes):
    """Organisations of four systems, a folder of ten logs each, about 230 kB a log as in v5.1."""
    size = number = 0
    organizations = []
    while size < megabytes * 1e6:
        organization = os.path.join(folder, f"Organisation{len(organizations):02d}")
        os.makedirs(os.path.join(organization, "systems"))
        for system in range(4):
            results = os.path.join(organization, "results", f"system{system}", "gpt_oss_20b")
            os.makedirs(results)
            for run in range(10):
                text = log_text(number, 16 + number % 3, 32)
                number += 1
                size += len(text)
                with open(os.path.join(results, f"result_{run}.txt"), "w", encoding="ascii") as file:
                    file.write(text)
            with open(os.path.join(organization, "systems", f"system{system}.json"), "w", encoding="ascii") as file:
                json.dump({**SYSTEM, "system_name": f"system{system}", "submitter": os.path.basename(organization), "division": "closed",
                           "status": "Available on-premise", "number_of_nodes": "2", "host_processors_per_node": "2",
                           "accelerators_per_node": "8"}, file)
        organizations.append(organization)
    return organizations, number, size


def measure(call):
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def bytes_of(folder):
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)


def official(organizations, megabytes):
    import logging
    from mlperf_logging.rcp_checker import rcp_checker
    from mlperf_logging.result_summarizer import result_summarizer
    logging.disable(logging.CRITICAL)
    taken, size = [], 0
    for organization in organizations:
        taken.append(organization)
        size += bytes_of(organization)
        if size >= megabytes * 1e6:
            break
    with contextlib.redirect_stdout(io.StringIO()):
        seconds, _ = measure(lambda: [result_summarizer.summarize_results(o, "training", "6.0.0") for o in taken])
        folders = [os.path.join(o, "results", s, "gpt_oss_20b") for o in taken for s in os.listdir(os.path.join(o, "results"))]
        rcp_seconds, _ = measure(lambda: [rcp_checker.check_directory(f, "training", "6.0.0", False, False, rcp_pass="pruned_rcps")
                                          for f in folders])
    return seconds, rcp_seconds, size / 1e6, len(folders)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="timetrial")
    parser.add_argument("--megabytes", type=float, default=400)
    parser.add_argument("--official", type=float, default=20, help="megabytes that the official programs get")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {time.strftime('%Y-%m-%d %H:%M')}")
    with tempfile.TemporaryDirectory() as folder:
        organizations, logs, size = make_round(folder, arguments.megabytes)
        print(f"generated round: {len(organizations)} organisations, {logs} logs, {size / 1e6:.1f} MB")
        command = [arguments.program, "results", "import", folder, "--ruleset", "6.0.0", "--json"]
        for threads in (0, 1):
            times = []
            for _ in range(arguments.repeat):
                seconds, result = measure(lambda: subprocess.run([*command, "--threads", str(threads)], capture_output=True, check=False))
                document = json.loads(result.stdout)
                if len(document["records"]) != logs // 10 or any(r["minutes"] is None for r in document["records"]):
                    sys.exit(f"the import is not whole: {len(document['records'])} records, {document['problems'][:3]}")
                times.append(seconds)
            name = "all cores" if threads == 0 else "1 thread "
            print(f"timetrial results import, {name}: {', '.join(f'{t:.2f}' for t in times)} s; best {size / 1e6 / min(times):.0f} MB/s")
        seconds, rcp_seconds, megabytes, folders = official(organizations, arguments.official)
        print(f"official result_summarizer (checks, scores, convergence): {seconds:.1f} s for {megabytes:.1f} MB, "
              f"{megabytes / seconds:.2f} MB/s")
        print(f"official rcp_checker alone: {rcp_seconds:.1f} s for {folders} folders, {megabytes:.1f} MB, {megabytes / rcp_seconds:.1f} MB/s")
        best = size / 1e6 / min(times)  # the last loop: one thread, as the official programs have
        print(f"ratio to result_summarizer: {best / (megabytes / seconds):.0f} x on 1 thread")


if __name__ == "__main__":
    main()
