"""Training on two nodes of a real Slurm: sbatch, srun, PMIx, one rank per node; and what a start that goes wrong says.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import shlex
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "end_to_end"))
import cluster  # noqa: E402
import programs  # noqa: E402
from programs import BIN, SOURCE, Case, records, values  # noqa: E402

TASKS = ("--nodes=2", "--ntasks=2", "--ntasks-per-node=1")


class Slurm(Case):
    """One cluster for all tests."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cluster.Cluster()
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.__exit__)

    def config(self):
        return self.tiny_config(train__micro_batch=1, train__max_steps=4, train__warmup_steps=1, evaluation__samples=4,
                                evaluation__every_samples=16, device__threads=1)

    def slurm(self, *command, **more):
        return self.cluster.run(*command, OMP_NUM_THREADS="1", PATH=f"{BIN}:{self.cluster.environment['PATH']}", **more)

    def test_two_seeds_in_a_row_on_two_nodes(self):
        """The template as a user submits it; the logs are those of one rank to within rounding, and lie as a submission's do."""
        config = self.config()
        results = self.folder / "results"
        done = self.slurm("sbatch", "--wait", *TASKS, f"--output={self.folder}/job.out", f"--chdir={self.folder}",
                          SOURCE / "scripts/seeds.sbatch", config, "two_nodes", 2, results, TIMETRIAL_CLEAR_CACHES="true")
        output = (self.folder / "job.out").read_text(encoding="utf-8")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr + output)  # four steps reach no target
        self.assertEqual(output.count("not reached within the step limit"), 2, output)
        logs = [results / f"two_nodes/gpt_oss_20b/result_{run}.txt" for run in range(2)]
        seeds = [values(log, "seed")[0] for log in logs]
        self.assertNotEqual(seeds[0], seeds[1])
        for log, seed in zip(logs, seeds):
            self.assertEqual(values(log, "cache_clear"), [True])
            alone = self.folder / f"alone_{seed}"
            one = programs.run("run", config, "--set", f"output.folder={alone}", "--set", f"train.seed={seed}")
            self.assertEqual(one.returncode, 1, one.stderr)
            expected = [value["reduced_train_loss"] for value in values(alone / "result_0.txt", "tracked_stats")]
            losses = [value["reduced_train_loss"] for value in values(log, "tracked_stats")]
            self.assertEqual(len(losses), 4)
            for a, b in zip(expected, losses):
                self.assertLess(abs(a - b), 1e-5 * abs(a))
            self.assertEqual(records(log)[-1]["key"], "run_stop")

    def test_srun_starts_the_worker_directly(self):
        config = self.config()
        done = self.slurm("srun", *TASKS, "--mpi=pmix", BIN / "timetrial-worker", config, "--ranks", 2)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count("not reached within the step limit"), 1, done.stdout)

    def test_timetrial_run_becomes_srun(self):
        """Inside the allocation, without --launcher; both ranks leave their logs, and the environment is Slurm's."""
        config = self.config()
        done = self.slurm("sbatch", "--wait", *TASKS, f"--output={self.folder}/job.out", "--wrap",
                          shlex.join(["timetrial", "run", str(config), "--ranks", "2"]))
        output = (self.folder / "job.out").read_text(encoding="utf-8")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr + output)
        self.assertEqual(output.count("not reached within the step limit"), 1, output)
        for rank in range(2):
            text = (self.folder / f"run/ranks/rank_{rank}.log").read_text(encoding="utf-8")
            self.assertIn(f"rank {rank} of 2, ", text)
            self.assertIn("end: exit code 1 ", text)
        record = json.loads((self.folder / "run/environment.json").read_text(encoding="utf-8"))
        self.assertEqual((record["ranks"], record["rank_0"]["SLURM_STEP_NUM_TASKS"]), (2, "2"))

    def test_one_rank_jobs_are_recognised(self):
        """srun without PMI: MPI would see two jobs of one rank each."""
        done = self.slurm("srun", *TASKS, "--mpi=none", BIN / "timetrial-worker", self.config(), "--ranks", 2)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("srun started 2 processes without PMI", done.stderr)
        self.assertIn("srun --mpi=pmix --ntasks=2 timetrial-worker ", done.stderr)
        self.assertFalse((self.folder / "run").exists(), "nothing may be written before the ranks have met")


if __name__ == "__main__":
    reason = cluster.missing()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    unittest.main(verbosity=2)
