"""Runs on several ranks of this machine, as threads of one process and under mpirun: the log of one rank, one line of outcome.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import resource
import shutil
import signal
import subprocess
import time
import unittest

import programs
from programs import BIN, Case, records, run, values

MPI = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMP_NUM_THREADS="1",
           OMPI_MCA_mpi_yield_when_idle="1")


class RankCase(Case):
    def config(self, **changes):
        return self.tiny_config(**{"train__micro_batch": 1, "train__max_steps": 4, "evaluation__every_samples": 16,
                                   "evaluation__samples": 7, "train__warmup_steps": 1, "device__threads": 1, **changes})

    def trained(self, config, folder, *more, environment=None):
        """(train losses, evaluation losses) of a run that must miss its target."""
        output = self.folder / folder
        done = run("run", config, "--set", f"output.folder={output}", *more, env=environment)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count("not reached within the step limit"), 1, done.stdout)
        return self.losses(output / "result_0.txt")

    def losses(self, log):
        return [value["reduced_train_loss"] for value in values(log, "tracked_stats")], values(log, "eval_accuracy")

    def assert_close(self, one, many):
        for a, b in zip(one, many):
            self.assertEqual(len(a), len(b))
            for x, y in zip(a, b):
                self.assertLess(abs(x - y), 1e-5 * abs(x))


class ThreadRanks(RankCase):
    def test_threads_train_as_one_rank_does(self):
        config = self.config()
        one = self.trained(config, "one")
        self.assertEqual((len(one[0]), len(one[1])), (4, 2))
        for ranks in (2, 4):
            self.assert_close(one, self.trained(config, f"threads-{ranks}", "--ranks", ranks))
        effective = json.loads((self.folder / "threads-4/effective_config.json").read_text(encoding="utf-8"))
        self.assertEqual(effective["parallel"]["dp"], 4)
        self.assertEqual(values(self.folder / "threads-4/result_0.txt", "gradient_accumulation_steps"), [2])

    def test_experts_are_counted_over_all_ranks(self):
        config = self.config()
        counts = []
        for ranks in (1, 2):
            metrics = self.folder / f"metrics-{ranks}.jsonl"
            self.trained(config, f"counted-{ranks}", "--ranks", ranks, "--metrics", metrics)
            first = json.loads(metrics.read_text(encoding="utf-8").splitlines()[0])
            counts.append([sum(layer) for layer in first["expert_load"]])
        self.assertEqual(counts[0], counts[1])

    def test_a_signal_stops_all_ranks_after_the_same_step(self):
        config = self.config(train__max_steps=100000, evaluation__every_samples=400000)
        process = subprocess.Popen([str(BIN / "timetrial"), "run", str(config), "--ranks", "2"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        log = self.folder / "run/result_0.txt"
        programs.wait_for(process, log, "tracked_stats")
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 143, errors)
        self.assertEqual(output.count("interrupted"), 1)
        self.assertEqual(records(log)[-1]["metadata"]["status"], "aborted")

    def test_one_rank_that_fails_ends_all_at_once(self):
        config = self.config()
        started = time.monotonic()
        (self.folder / "run").mkdir()
        (self.folder / "run/result_0.txt").write_text("taken", encoding="utf-8")
        self.assert_one_line_error(run("run", config, "--ranks", "2"), "/output/folder", "already holds a run")
        self.assertLess(time.monotonic() - started, 60)


class Ranks(RankCase):
    def test_processes_under_mpirun_train_as_one_rank_does(self):
        mpirun = shutil.which("mpirun")
        if mpirun is None:
            self.skipTest("mpirun is not installed")
        config = self.config()
        one = self.trained(config, "one")
        output = self.folder / "mpi"
        done = subprocess.run([mpirun, "--oversubscribe", "--bind-to", "none", "-n", "2", str(BIN / "timetrial-worker"), str(config),
                               "--set", "parallel.dp=2", "--set", f"output.folder={output}"],
                              capture_output=True, text=True, timeout=300, check=False, env=MPI)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count("not reached within the step limit"), 1, done.stdout)
        self.assert_close(one, self.losses(output / "result_0.txt"))

    def test_what_cannot_work_is_refused_in_one_line(self):
        config = self.config()
        for more, needles in {
                ("--ranks", "3"): ("/train/global_batch", "8", "dp 3", "6 or 9"),
                ("--ranks", "2", "--set", "parallel.pp=2"): ("/parallel/pp", "along dp alone", "parallel.pp to 1"),
                ("--ranks", "3", "--set", "parallel.pp=2"): ("--ranks 3", "use 2 or 4"),
                ("--ranks", "2", "--set", "data.train=/nowhere/x"): ("/nowhere/x",),
        }.items():
            self.assert_one_line_error(run("run", config, *more), *needles)
            self.assertFalse((self.folder / "run").exists())

    def test_plans_of_thousands_of_ranks(self):
        config = self.folder / "large.json"
        config.write_text(json.dumps({"workload": "llama31_405b", "variant": "full", "data.train": ["a", "b"], "data.validation": "c",
                                      "output.folder": "o", "train.global_batch": 1152}), encoding="utf-8")
        axes = ("--ranks", "8192", "--set", "parallel.tp=8", "--set", "parallel.pp=16", "--set", "parallel.cp=2")
        started = time.monotonic()
        done = run("plan", config, *axes, "--rank-map")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [line.split() for line in done.stdout.splitlines()]
        self.assertEqual(lines[0][:7], ["rank", "host", "local", "dp", "tp", "pp", "cp"])
        self.assertEqual(len(lines), 8193)
        self.assertEqual(lines[1 + 8191][:7], ["8191", "1023", "7", "31", "7", "15", "1"])
        self.assertEqual(len({tuple(line[3:7]) for line in lines[1:]}), 8192)
        for host in range(1024):  # a tensor group never leaves its host
            self.assertEqual(len({(line[3], line[5], line[6]) for line in lines[1 + 8 * host:9 + 8 * host]}), 1)
        plan = run("plan", config, *axes)
        self.assertIn("on 8192 ranks", plan.stdout)
        self.assertIn("8192 on 1024 hosts of 8", plan.stdout)
        self.assertIn("memory per rank unknown", plan.stdout)
        self.assertLess(time.monotonic() - started, 20)  # two plans on a busy machine
        self.assertLess(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, 1000000)  # kB, the largest child

    def test_a_plan_says_what_travels(self):
        plan = json.loads(run("plan", self.config(), "--ranks", "4", "--json").stdout)
        traffic = {(one["collective"], one["of"]): one for one in plan["ranks"]["traffic_per_step"]}
        gradients = sum(one["bytes"] for one in plan["ranks"]["traffic_per_step"] if one["of"] == "gradients")
        self.assertGreaterEqual(gradients, 4 * plan["parameters"])
        self.assertLess(gradients, 4 * plan["parameters"] * 1.01)  # padding
        self.assertEqual(traffic["all_reduce", "loss, norm"]["calls"], 2)
        self.assertLess(plan["bytes_per_rank"]["moments"], 2 * plan["parameters"] * 1.02)  # a quarter of two fp32 words each


if __name__ == "__main__":
    programs.main()
