"""What every start does beside training: a log per rank, the environment on record, hosts looked at before anything is written.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import re
import resource
import shutil
import subprocess
import sys

import programs
from programs import BIN, Case, records, run, values

SECRET = "hunter2"


class Starting(Case):
    def config(self, **changes):
        return self.tiny_config(**{"train__micro_batch": 1, "train__max_steps": 4, "evaluation__every_samples": 16, "evaluation__samples": 4,
                                   "train__warmup_steps": 1, "device__threads": 1, **changes})

    def rank_log(self, rank, folder="run"):
        return (self.folder / folder / f"ranks/rank_{rank}.log").read_text(encoding="utf-8")

    def test_every_rank_keeps_a_log(self):
        done = run("run", self.config(), "--ranks", 2)
        self.assertEqual(done.returncode, 1, done.stderr)
        for rank in (0, 1):
            text = self.rank_log(rank)
            self.assertRegex(text, rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{3}} info: rank {rank} of 2, {rank} of 2 on host \S+, process \d+, hardware threads")
            for part in (r"info: libraries: MPI \S.*, NCCL \S+, CUDA \S+", r"info: cpu: .*, 1 threads", r"warm-up on synthetic data \(preparing took \d+\.\d{3} s\)", r"training \(warm-up .* took",
                         r"evaluation after 16 samples: loss \d", r"4 steps, 32 samples, last evaluation loss \d", r"end: exit code 1 \("):
                self.assertTrue(re.search(part, text), (part, text))
        self.assertNotIn("rank 1", done.stdout + done.stderr)  # rank 0 prints

    def test_the_log_of_a_run_that_breaks_says_why(self):
        config = self.config(train__max_steps=100000, evaluation__every_samples=400000)
        limit = 60000
        done = run("run", config, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertRegex(self.rank_log(0), r"end: .*cannot write the log")

    def test_warnings_are_in_it(self):
        done = run("run", self.config(device__threads=64))
        self.assertIn("warning: device.threads is 64", done.stderr)
        self.assertIn("warning: device.threads is 64", self.rank_log(0))

    def test_the_environment_is_on_record_without_secrets(self):
        environment = dict(os.environ, OMP_PROC_BIND="false", NCCL_IB_HCA="mlx5", SLURM_JWT=SECRET, TIMETRIAL_API_KEY=SECRET, AWS_TOKEN=SECRET)
        self.assertEqual(run("run", self.config(), env=environment).returncode, 1)
        text = (self.folder / "run/environment.json").read_text(encoding="utf-8")
        self.assertNotIn(SECRET, text)
        record = json.loads(text)
        self.assertEqual(record["schema"], "timetrial.environment/1")
        self.assertEqual((record["rank_0"]["OMP_PROC_BIND"], record["rank_0"]["NCCL_IB_HCA"]), ("false", "mlx5"))
        log = self.folder / "run/result_0.txt"
        self.assertEqual(values(log, "timetrial_environment"),
                         [{"file": "environment.json", "variables": len(record["rank_0"]), "ranks_that_differ": 0}])
        self.assertNotIn("timetrial_environment", run("check", log).stdout)  # nothing to object to

    def test_ranks_with_another_environment_are_named(self):
        if shutil.which("mpirun") is None:
            self.skipTest("mpirun is not installed")
        config = self.config()
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_mpi_yield_when_idle="1",
                           NCCL_SOCKET_IFNAME="eth0")
        worker = [str(BIN / "timetrial-worker"), str(config), "--ranks", "2"]
        done = subprocess.run(["mpirun", "--oversubscribe", "--bind-to", "none", "-np", "1", *worker, ":", "-np", "1", "-x", "NCCL_SOCKET_IFNAME=ib0", *worker],
                              env=environment, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        record = json.loads((self.folder / "run/environment.json").read_text(encoding="utf-8"))
        self.assertEqual(record["differences"]["1"].get("NCCL_SOCKET_IFNAME"), "ib0", record["differences"])
        self.assertEqual(record["rank_0"]["NCCL_SOCKET_IFNAME"], "eth0")
        self.assertEqual(values(self.folder / "run/result_0.txt", "timetrial_environment")[0]["ranks_that_differ"], 1)

    def test_a_host_that_cannot_do_it_is_named_before_anything_is_written(self):
        limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        for more in ((), ("--ranks", "2")):
            done = run("run", self.config(), *more, preexec_fn=limit)
            self.assert_one_line_error(done, "timetrial: host ", "100 files may be open at once (hard limit)", '"nofile"')
            self.assertFalse((self.folder / "run").exists())

    def test_a_host_that_cannot_do_it_is_named_by_one_of_many(self):
        if shutil.which("mpirun") is None:
            self.skipTest("mpirun is not installed")
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1")
        done = run("run", self.config(), "--ranks", 2, "--launcher", "mpirun", env=environment,
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)))
        self.assertEqual(done.returncode, 2, done.stderr)
        lines = [line for line in done.stderr.splitlines() if line.startswith("timetrial: ")]
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("200 files may be open at once (hard limit)", lines[0])
        self.assertFalse((self.folder / "run").exists())

    def test_a_dry_run_shows_this_host(self):
        config = self.config()
        text = run("run", config, "--dry-run").stdout
        self.assertRegex(text, r"This host\n(  fine .*\n|  warning .*\n)+Command\n")
        self.assertIn("4 data files can be read", text)
        (self.folder / "tiny-validation.bin").unlink()
        done = run("run", config, "--dry-run")
        self.assertEqual(done.returncode, 2)
        self.assertTrue(done.stdout.startswith("Would not start: 1 error below.\n"), done.stdout)
        plan = json.loads(run("run", config, "--dry-run", "--json").stdout)
        self.assertFalse(plan["would_start"])
        wrong = [one["text"] for one in plan["host_findings"] if one["level"] == "error"]
        self.assertEqual(len(wrong), 1, plan["host_findings"])
        self.assertIn("tiny-validation.bin cannot be read (No such file or directory)", wrong[0])
        self.assertFalse((self.folder / "run").exists())

    def test_a_dry_run_is_refused_as_the_run_would_be(self):
        config = self.config()
        for line, needles in [(("--eval-only",), ["--eval-only needs weights"]),
                              (("--checkpoint", self.folder / "none"), ["none"]),
                              (("--trace-steps", 2), ["/device/kind", "timetrial profile"])]:
            self.assert_one_line_error(run("run", config, "--dry-run", *line), *needles)
            self.assert_one_line_error(run("run", config, *line), *needles)

    def test_a_dry_run_lists_what_the_run_would_be_refused_for(self):
        metrics = self.folder / "steps.jsonl"
        metrics.write_text("", encoding="utf-8")
        (self.folder / "used").mkdir()
        (self.folder / "used/result_0.txt").write_text("", encoding="utf-8")
        large = dict(train__micro_batch=1000000, train__global_batch=1000000, train__max_steps=3, evaluation__every_samples=1000000)
        for name, changes, line in [("memory", large, ()),
                                    ("metrics", {}, ("--metrics", metrics)),
                                    ("folder", {"output__folder": str(self.folder / "used")}, ("--metrics", self.folder / "new.jsonl")),
                                    ("file", {"output__folder": str(metrics / "run")}, ()),
                                    ("tensor", {"parallel__tp": 2, "model__kv_heads": 2}, ()),
                                    ("tokens", {"model__sequence_length": 200000}, ())]:
            with self.subTest(name):
                config = self.config(**changes)
                before = sorted(self.folder.rglob("*"))
                refused = run("run", config, *line)
                self.assert_one_line_error(refused)
                dry = run("run", config, "--dry-run", "--json", *line)
                self.assertEqual(dry.returncode, 2, dry.stdout)
                if name == "tensor":
                    self.assertEqual(dry.stderr, refused.stderr)
                else:
                    plan = json.loads(dry.stdout)
                    self.assertFalse(plan["would_start"])
                    wrong = ["timetrial: " + one["text"] + "\n" for one in plan["host_findings"] if one["level"] == "error"]
                    self.assertEqual(len(wrong), 1, wrong)
                    if name == "file":  # the run tries, a dry run looks
                        wrong[0] = wrong[0].replace(f"{metrics} is no folder", "Not a directory")
                    self.assertEqual(wrong[0], refused.stderr)
                self.assertEqual(run("plan", config).returncode, 0)
                self.assertEqual(sorted(self.folder.rglob("*")), before)

    def test_a_checkpoint_that_will_not_fit_is_refused_at_once(self):
        if sys.platform != "linux" or shutil.which("unshare") is None:
            self.skipTest("no file system of our own can be mounted here")
        disk = self.folder / "disk"
        disk.mkdir()
        script = 'mount -t tmpfs -o size=1m tmpfs "$1" || exit 77; "$2" run "$3" --set output.checkpoint="$1/weights"'
        done = subprocess.run(["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", disk, BIN / "timetrial", self.config()],
                              capture_output=True, text=True, check=False)
        if "unshare" in done.stderr or done.returncode == 77:
            self.skipTest(f"no file system of our own can be mounted here: {done.stderr.strip()}")
        self.assert_one_line_error(done, "1.05 MB free for output.checkpoint", "the weights need")
        self.assertEqual(records(self.folder / "run/result_0.txt") if (self.folder / "run").exists() else [], [])


if __name__ == "__main__":
    programs.main()
