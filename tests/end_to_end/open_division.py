"""Runs in the open division: what its rules leave free breaks no rule of the run's own check.

SPDX-License-Identifier: Apache-2.0
"""
import json

import programs
from programs import Case, run, values


class OpenDivision(Case):
    def test_a_small_run_that_uses_its_freedom_holds_the_rules(self):
        """The target is one that any model meets at the first evaluation: the check is what this is about."""
        config = self.tiny_config(evaluation__target=20.0, train__weight_decay=0.2, train__max_steps=10,
                                  submission__division="open")
        done = run("run", config)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("rules: pass, 2 scaled", done.stdout)
        log = self.folder / "run" / "result_0.txt"
        self.assertEqual({record["key"] for record in values(log, "timetrial_scaled_rule")},
                         {"max_sequence_length", "target"})
        report = json.loads(run("check", log, "--json").stdout)["logs"][0]
        self.assertEqual((report["verdict"], report["division"]), ("pass_scaled", "open"))

    def full_logs(self, count, *settings):
        folder = self.folder / "results"
        for i in range(count):
            (self.folder / f"run_{i}").mkdir()
            done = run("gpt_oss_20b", self.folder / f"run_{i}", "submission.division=open", f"train.seed={100 + i}", *settings,
                       program="write_full_log")
            self.assertEqual(done.returncode, 0, done.stderr)
            folder.mkdir(exist_ok=True)
            (self.folder / f"run_{i}" / "result_0.txt").rename(folder / f"result_{i}.txt")
        return folder

    def test_a_full_run_that_uses_its_freedom_is_an_open_result(self):
        """Logs that the engine's code writes for a run that never happened."""
        folder = self.full_logs(10, "train.weight_decay=0.2", "train.max_steps=50000", "model.layers=12")
        log = folder / "result_0.txt"
        self.assertEqual(values(log, "timetrial_scaled_rule"), [])
        self.assertEqual(values(log, "timetrial_variant"), ["full"])
        self.assertEqual(values(log, "opt_adamw_weight_decay"), [0.2])
        done = run("check", folder, "--json")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual({one["verdict"] for one in json.loads(done.stdout)["logs"]}, {"pass"})
        done = run("score", folder)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Open gpt_oss_20b", done.stdout)


if __name__ == "__main__":
    programs.main()
