"""The null workload: a run without a model ends by itself, says that it is no benchmark, and tells where its time goes.

SPDX-License-Identifier: Apache-2.0
"""
import json
import subprocess

import programs
from programs import SOURCE, Case, records, run, values


class NullStep(Case):
    def null_config(self, **changes):
        return self.tiny_config(**{"workload": "null", "evaluation__every_samples": 1600, "evaluation__target": 1.0,
                                   "train__max_steps": 1000, "train__warmup_steps": 0, **changes})

    def test_runs_to_its_end_and_its_log_parses(self):
        done = run("run", self.null_config())
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        split, outcome = done.stdout.strip().splitlines()
        self.assertRegex(split, r"^time per step without a model: \d+\.\d us = data .* \+ log \d.* evaluation: \d+\.\d us per step$")
        self.assertRegex(outcome, r"^null/\w+  target 1\.00 reached: eval loss 0\.0000 after 1600 samples, .*"
                                  r"\(rules: none, this is no benchmark\)  log: .*result_0\.txt$")
        log = self.folder / "run" / "result_0.txt"
        lines = log.read_text(encoding="utf-8").splitlines()
        self.assertEqual(len(records(log)), len(lines))
        self.assertEqual(len(values(log, "tracked_stats")), 200)
        self.assertEqual(values(log, "timetrial_warning"), ["null is no MLPerf benchmark, and no result"])
        self.assertEqual(values(log, "submission_benchmark"), ["null"])
        self.assertNotEqual(run("check", log).returncode, 0, "a log that no rules are for must not pass")

    def test_parts_add_up(self):
        done = run("run", self.null_config(), "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        outcome = json.loads(done.stdout)
        parts = outcome["seconds_by_part"]
        self.assertEqual(set(parts), {"data", "step", "evaluation", "log", "progress", "rest"})
        for name, seconds in parts.items():
            self.assertGreaterEqual(seconds, 0, name)
        self.assertAlmostEqual(sum(parts.values()), outcome["seconds"], places=6)
        for name in ("data", "step", "evaluation", "log"):
            self.assertGreater(parts[name], 0, name)

    def test_plan_counts_no_model(self):
        plan = json.loads(run("plan", self.null_config(), "--json").stdout)
        self.assertEqual((plan["parameters"], plan["train_flops_per_token"]), (1, 0))

    def test_seed_0_has_the_hash_of_its_plan(self):
        config = self.null_config(train__seed=0, submission__platform="")
        plan = json.loads(run("plan", config, "--json").stdout)
        outcome = json.loads(run("run", config, "--json").stdout)
        self.assertNotEqual(outcome["seed"], 0)
        self.assertEqual(outcome["config_hash"], plan["config_hash"])
        self.assertEqual(values(self.folder / "run" / "result_0.txt", "timetrial_config_hash"), [plan["config_hash"]])


class NullStepScript(Case):
    def test_the_script_prints_its_table(self):
        done = subprocess.run([SOURCE / "benchmarks/harness/null_step.py", "--rounds", "1", "--steps", "400", "--bin", programs.BIN],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in ("all", "data", "step", "log", "progress", "rest", "cpu"):
            self.assertRegex(done.stdout, rf"\n  {name} +\d+\.\d  ")


if __name__ == "__main__":
    programs.main()
