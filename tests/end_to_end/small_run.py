"""The small gpt_oss_20b run as the quickstart makes it: it reaches its target, and does not when training is broken.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import re
import subprocess

import programs
from programs import SMALL, SOURCE, Case, run, values


class SmallRun(Case):
    def test_reaches_its_target_and_the_log_is_right(self):
        done = run("run", SMALL, "--set", f"output.folder={self.folder / 'run'}", "--set", "train.seed=1", cwd=SOURCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        last = done.stdout.strip().splitlines()[-1]
        self.assertRegex(last, r"^gpt_oss_20b/small  target \d+\.\d\d reached: eval loss \d\.\d{4} after \d+ samples, "
                               r"time to train \d+\.\d\d min  \(rules: pass, \d+ scaled, not an MLPerf result\)  log: .*result_0\.txt$")
        log = self.folder / "run" / "result_0.txt"
        losses = values(log, "eval_accuracy")
        target = values(log, "target_accuracy")[0]
        self.assertLessEqual(losses[-1], target)
        self.assertTrue(all(loss > target for loss in losses[:-1]), "the run went on after the target")
        # ln 2048 + 0.576 is where an untrained model stands (workload spec, 15.2).
        first = next(record["value"]["reduced_train_loss"] for record in programs.records(log) if record["key"] == "tracked_stats")
        self.assertAlmostEqual(first, 8.2, delta=0.3)
        self.assertEqual(run("check", log).returncode, 0)
        self.a_run_that_took_too_long_is_said_first(log)
        self.official_checker_reports_the_scaled_rules_only(log)

    def a_run_that_took_too_long_is_said_first(self, log):
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        last = max(i for i, line in enumerate(lines) if '"key": "eval_accuracy"' in line)
        lines[last] = re.sub(r'"samples_count": \d+', '"samples_count": 1000000', lines[last])
        late = self.folder / "late" / "result_0.txt"
        late.parent.mkdir()
        late.write_text("".join(lines), encoding="utf-8")
        done = run("check", log, late)
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stdout.splitlines()[0].endswith("1 converges oddly"), done.stdout)
        checked = json.loads(run("check", log, late, "--json").stdout)
        self.assertEqual((checked["converged_oddly"], checked["sentence"]), (1, done.stdout.splitlines()[0]))
        self.assertEqual([one["convergence"]["verdict"] for one in checked["logs"]], ["as_expected", "too_late"])
        self.assertTrue(run("check", late).stdout.startswith("converges oddly"))

    def official_checker_reports_the_scaled_rules_only(self, log):
        python = os.environ.get("TIMETRIAL_MLPERF_PYTHON")
        if not python:
            self.assertFalse(os.environ.get("TIMETRIAL_REQUIRE_MLPERF"), "the official checker is required and not there")
            self.skipTest("everything but the official checker's agreement passed; it is not installed")
        line = [python, SOURCE / "tests/official/agree.py", "--python", python, "--checker", programs.BIN / "check_logs",
                "--small", log]
        done = subprocess.run(list(map(str, line)), capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class BrokenTraining(Case):
    def misses_the_target(self, done):
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stdout.strip().splitlines()[-1], r"target \d+\.\d\d not reached within the step limit")
        log = self.folder / "run" / "result_0.txt"
        stops = [record for record in programs.records(log) if record["key"] == "run_stop"]
        self.assertEqual([stop["metadata"]["status"] for stop in stops], ["aborted"])
        checked = run("check", log)
        self.assertEqual(checked.returncode, 1, checked.stdout)

    def test_learning_rate_zero_misses_the_target(self):
        done = run("run", SMALL, "--set", f"output.folder={self.folder / 'run'}", "--set", "train.seed=1",
                   "--set", "train.learning_rate=0", cwd=SOURCE)
        self.misses_the_target(done)
        losses = values(self.folder / "run" / "result_0.txt", "eval_accuracy")
        self.assertEqual(len(set(losses)), 1, "the weights moved although the learning rate is 0")

    def test_labels_off_by_one_miss_the_target(self):
        done = run(SMALL, f"output.folder={self.folder / 'run'}", "train.seed=1", program="run_shifted_labels", cwd=SOURCE)
        self.misses_the_target(done)
        stats = [record["value"]["reduced_train_loss"] for record in
                 programs.records(pathlib.Path(self.folder / "run" / "result_0.txt")) if record["key"] == "tracked_stats"]
        self.assertLess(stats[-1], 0.5, "a token should learn to predict itself: the fault was not planted")


if __name__ == "__main__":
    programs.main()
