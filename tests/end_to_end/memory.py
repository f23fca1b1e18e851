"""A run's process holds what `timetrial plan` says.

SPDX-License-Identifier: Apache-2.0
"""
import json
import subprocess
import sys

import programs
from programs import BIN, SOURCE, Case, run

sys.path.insert(0, str(SOURCE / "benchmarks/cpu"))
from process_memory import run_and_watch  # noqa: E402


class Memory(Case):
    def held_and_planned(self, config):
        """Private bytes of a run at most, and what its plan says."""
        plan = run("plan", config, "--json")
        self.assertEqual(plan.returncode, 0, plan.stderr)
        process, _, peaks = run_and_watch([BIN / "timetrial-worker", config], stderr=subprocess.PIPE)
        self.assertIn(process.returncode, (0, 1))
        return peaks["private"], json.loads(plan.stdout)["bytes_per_rank"]["total"]

    # In fp32: with bf16 storage the CPU's ops also hold fp32 copies of what they work on, which no plan counts.
    def test_a_run_holds_what_its_plan_says(self):
        if programs.sanitized():
            self.skipTest("the sanitizer's own memory is many times the run's")
        # What a run without a model holds beside its plan is the program's.
        held, planned = self.held_and_planned(self.tiny_config(
            workload="null", train__max_steps=600, evaluation__every_samples=4800, evaluation__target=1.0,
            output__folder=str(self.folder / "null")))
        program = held - planned
        self.assertGreater(program, 0)
        held, planned = self.held_and_planned(self.tiny_config(
            train__max_steps=6, train__global_batch=32, train__micro_batch=16, evaluation__every_samples=192))
        self.assertLess(abs((held - program) / planned - 1), 0.1, f"{held:,} bytes, {program:,} of the program, {planned:,} planned")


if __name__ == "__main__":
    programs.main()
