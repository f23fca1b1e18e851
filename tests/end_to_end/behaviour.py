"""What the programs do with odd input, interrupts and repeated runs: one clear line, the right exit code, nothing lost.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import unittest

import programs
from programs import BIN, SMALL, SOURCE, Case, records, run, values


class Interrupts(Case):
    def start(self, config, *more):
        """A run that has taken its first step (or whose log holds `until`), and its log."""
        process = subprocess.Popen([str(BIN / "timetrial"), "run", str(config), *more], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        folder = next((part.split("=", 1)[1] for part in more if part.startswith("output.folder=")), self.folder / "run")
        log = pathlib.Path(folder) / "result_0.txt"
        deadline = time.monotonic() + 120
        while not (log.exists() and "tracked_stats" in log.read_text(encoding="utf-8")):
            self.assertLess(time.monotonic(), deadline, "the run never took a step")
            time.sleep(0.02)
        return process, log

    def interrupted(self, number, code):
        process, log = self.start(self.tiny_config(train__max_steps=100000, evaluation__every_samples=400000))
        process.send_signal(number)
        self.closed_as_aborted(process, log, code)

    def closed_as_aborted(self, process, log, code):
        output, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, code, errors)
        self.assertIn("interrupted", output)
        last = records(log)[-1]
        self.assertEqual((last["key"], last["metadata"]["status"]), ("run_stop", "aborted"))

    def test_signals_do_not_disturb_the_computation(self):
        config = self.tiny_config(train__max_steps=100000, evaluation__every_samples=400000, device__threads=1)
        for i in range(8):  # a handler on a computing thread spoiled about every second of these
            process, log = self.start(config, "--set", f"output.folder={self.folder / f'run{i}'}")
            time.sleep(0.01 * i)
            process.send_signal(signal.SIGTERM)
            self.closed_as_aborted(process, log, 143)

    def test_interrupt(self):
        self.interrupted(signal.SIGINT, 130)

    def test_terminate(self):
        self.interrupted(signal.SIGTERM, 143)

    def test_closed_terminal(self):
        self.interrupted(signal.SIGHUP, 129)

    def test_kill_leaves_a_readable_log(self):
        process, log = self.start(self.tiny_config(train__max_steps=100000, evaluation__every_samples=400000))
        process.kill()
        process.communicate()
        self.assertGreater(len(records(log)), 10)
        checked = run("check", log)
        self.assertEqual(checked.returncode, 1)
        self.assertIn("unfinished", checked.stdout.splitlines()[0])


class Runs(Case):
    def test_same_seed_same_losses_and_other_seed_others(self):
        losses = []
        for name, seed in (("a", 5), ("b", 5), ("c", 6)):
            folder = self.folder / name
            done = run("run", self.tiny_config(), "--set", f"output.folder={folder}", "--set", f"train.seed={seed}",
                       "--set", "train.learning_rate=0.003")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertRegex(done.stdout, "not reached within the step limit")
            log = folder / "result_0.txt"
            losses.append([record["value"]["reduced_train_loss"] for record in records(log) if record["key"] == "tracked_stats"])
            self.assertEqual(values(log, "seed"), [seed])
            (self.folder / "tiny-train.bin").unlink()  # prepare refuses to overwrite
            for file in self.folder.glob("tiny*"):
                file.unlink()
        self.assertEqual(losses[0], losses[1])
        self.assertNotEqual(losses[0], losses[2])

    def test_outcome_as_json(self):
        done = run("run", self.tiny_config(), "--json")
        self.assertEqual(done.returncode, 1, done.stderr)
        outcome = json.loads(done.stdout)
        log = self.folder / "run" / "result_0.txt"
        self.assertEqual((outcome["outcome"], outcome["steps"], outcome["samples"]), ("step_limit", 20, 160))
        self.assertEqual(outcome["evaluation_loss"], values(log, "eval_accuracy")[-1])
        self.assertEqual(outcome["config_hash"], values(log, "timetrial_config_hash")[0])
        self.assertEqual(outcome["rules_scaled"], 4)

    def test_log_has_the_order_and_keys_of_the_rules(self):
        config = self.tiny_config()
        self.assertEqual(run("run", config).returncode, 1)
        log = self.folder / "run" / "result_0.txt"
        keys = [record["key"] for record in records(log)]
        marks = [key for key in keys if key in ("cache_clear", "init_start", "seed", "init_stop", "run_start", "epoch_start",
                                                "block_start", "block_stop", "eval_start", "eval_accuracy", "eval_stop",
                                                "epoch_stop", "run_stop")]
        block = ["block_start", "block_stop", "eval_start", "eval_accuracy", "eval_stop"]
        self.assertEqual(marks, ["cache_clear", "init_start", "seed", "init_stop", "run_start", "epoch_start"] + 4 * block +
                         ["epoch_stop", "run_stop"])
        self.assertEqual(values(log, "cache_clear"), [False])
        self.assertEqual(values(log, "timetrial_seed_drawn"), [False])
        self.assertEqual(keys.count("tracked_stats"), 20)
        for key, value in (("lowest_numerical_precision_in_linear", "fp32"), ("micro_batch_size", 4),
                           ("config_filename", "tiny"), ("tensor_parallelism", 1), ("gradient_accumulation_steps", 2)):
            self.assertEqual(values(log, key), [value], key)
        effective = values(log, "timetrial_effective_config")[0]
        self.assertEqual(effective["train"]["seed"], 5)
        self.assertRegex(values(log, "timetrial_config_hash")[0], "^[0-9a-f]{32}$")
        again = json.loads((self.folder / "run" / "effective_config.json").read_text(encoding="utf-8"))
        self.assertEqual(again, effective)

    def test_dry_run_prints_the_command_and_starts_nothing(self):
        config = self.tiny_config()
        done = run("run", config, "--dry-run", "--set", "train.seed=9")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("timetrial-worker", done.stdout)
        self.assertIn("--set train.seed=9", done.stdout)
        self.assertIn('GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-2000}"', done.stdout)
        self.assertFalse((self.folder / "run").exists())
        command = done.stdout.strip().splitlines()[-1].strip()
        self.assertEqual(subprocess.run(["sh", "-c", command], check=False, capture_output=True).returncode, 1)
        self.assertTrue((self.folder / "run" / "result_0.txt").exists())

    def test_a_file_that_is_no_log_is_said_to_be_none(self):
        file = self.folder / "notes.txt"
        file.write_text("bought milk\n", encoding="utf-8")
        done = run("check", file)
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], f"{file}: fail: no MLPerf record in it; is this a log?")
        self.assertEqual(len([line for line in lines if "advice:" in line]), 1, done.stdout)
        self.assertNotIn("submission_org", done.stdout)
        report = json.loads(run("check", file, "--json").stdout)["logs"][0]
        self.assertIn("submission_org", [error["key"] for error in report["errors"]])  # as the official checker has it

    def test_keys_say_where_values_come_from(self):
        done = run("keys")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("A key without [default ...] has the value that the workload's variant and form give it", done.stdout.splitlines()[0])
        for name in ("gpt_oss_20b", "llama31_405b", "deepseekv3_671b", "null"):
            self.assertEqual(done.stdout.count(f"\nworkload {name}\n"), 1)
        self.assertEqual(done.stdout.count("  variant full "), 4)

    def test_plan_of_the_full_benchmark(self):
        done = run("plan", SMALL, "--set", "variant=full", "--json", cwd=SOURCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        plan = json.loads(done.stdout)
        self.assertEqual(plan["parameters"], 20495244864)
        self.assertEqual(plan["active_parameters"], 3767928384)
        self.assertEqual(plan["train_flops_per_token"], 22875443712)
        self.assertEqual(plan["scaled_rules"], [])
        # fp32 weights that are their own master, fp32 gradients, two fp32 moments: 16 bytes a parameter, padding aside.
        state = sum(plan["bytes_per_rank"][kind] for kind in ("weights", "master weights", "gradients", "moments"))
        self.assertAlmostEqual(state / (16 * plan["parameters"]), 1, places=5)
        if not plan["fits_this_machine"]:
            # Nothing is bent, so the referee lets it pass and the memory is what stops it.
            self.assert_one_line_error(run("run", SMALL, "--set", "variant=full", "--set", f"output.folder={self.folder / 'full'}",
                                           cwd=SOURCE), "this machine")
            self.assertFalse((self.folder / "full").exists())
            dry = run("run", SMALL, "--set", "variant=full", "--dry-run", "--json", cwd=SOURCE)
            self.assertEqual(dry.returncode, 2, dry.stderr)
            findings = json.loads(dry.stdout)["host_findings"]
            self.assertEqual(["take a smaller variant" in one["text"] for one in findings if one["level"] == "error"].count(True), 1, findings)

    def test_a_plan_says_what_is_no_result(self):
        self.assertIn("Result: variant small: not an MLPerf result", run("plan", SMALL, cwd=SOURCE).stdout)
        full = run("plan", SMALL, "--set", "variant=full", cwd=SOURCE)
        self.assertEqual(full.returncode, 0, full.stderr)
        self.assertNotIn("not an MLPerf", full.stdout)

    def test_plan_counts_evaluations_and_adds_up(self):
        config = self.tiny_config(train__max_steps=21)  # every 5 steps, and after the last
        plan = json.loads(run("plan", config, "--json").stdout)
        self.assertEqual((plan["evaluation_every_steps"], plan["evaluations_at_most"]), (5, 5))
        self.assertIs(plan["fits_this_machine"], True)
        kinds = plan["bytes_per_rank"]
        self.assertEqual(kinds["total"], sum(bytes for kind, bytes in kinds.items() if kind != "total"))
        self.assertIs(json.loads(run("plan", config, "--set", "train.micro_batch=1000000", "--set", "train.global_batch=1000000",
                                     "--json").stdout)["fits_this_machine"], False)

    def test_a_sample_order_that_does_not_fit_is_refused(self):
        """It is made for all steps, in host memory, and grows with them alone."""
        config = self.tiny_config(train__max_steps=20)
        plan = json.loads(run("plan", config, "--json").stdout)
        self.assertEqual(plan["bytes_per_rank"]["data index and sample order"], plan["data_bytes_per_rank"])
        longer = json.loads(run("plan", config, "--json", "--set", "train.max_steps=1000020").stdout)
        added = longer["data_bytes_per_rank"] - plan["data_bytes_per_rank"]
        self.assertGreater(added, 16 * 8 * 1000000)  # of each sample its place and its turn; documents besides
        self.assertLess(added, 30 * 8 * 1000000)
        self.assertIs(longer["fits_this_machine"], True)
        done = run("run", config, "--set", "train.max_steps=2000000000")
        self.assert_one_line_error(done, "the order of samples of 2000000000 steps needs", "lower train.max_steps")
        self.assertFalse((self.folder / "run").exists())
        self.assertIs(json.loads(run("plan", config, "--json", "--set", "train.max_steps=2000000000").stdout)
                      ["fits_this_machine"], False)
        nowhere = json.loads(run("plan", config, "--json", "--set", "data.train=nowhere").stdout)
        self.assertIsNone(nowhere["data_bytes_per_rank"])

    def test_seed_0_draws_one_and_logs_it(self):
        config = self.tiny_config(train__seed=0, train__max_steps=5)
        seeds = []
        for name in ("a", "b"):
            self.assertEqual(run("run", config, "--set", f"output.folder={self.folder / name}").returncode, 1)
            seeds += values(self.folder / name / "result_0.txt", "seed")
            self.assertEqual(values(self.folder / name / "result_0.txt", "timetrial_seed_drawn"), [True])
        self.assertNotIn(0, seeds)
        self.assertNotEqual(seeds[0], seeds[1])

    def test_caches_that_the_caller_cleared_are_logged(self):
        config = self.tiny_config(train__max_steps=5)
        self.assertEqual(run("run", config, "--caches-cleared").returncode, 1)
        self.assertEqual(values(self.folder / "run/result_0.txt", "cache_clear"), [True])
        both = run("run", config, "--caches-cleared", "--clear-caches", "--set", f"output.folder={self.folder / 'both'}")
        self.assertEqual(both.returncode, 2)
        self.assertIn("--clear-caches", both.stderr)
        self.assertFalse((self.folder / "both").exists())

    def test_a_score_is_of_runs_of_one_configuration(self):
        """Other seeds and folders are the same configuration; another form or step limit is not."""
        config = self.tiny_config(train__max_steps=5)
        for number, more in enumerate((("train.seed=6",), ("train.seed=7",), ("train.seed=8", "form=reference"), ("train.seed=9", "train.max_steps=6"))):
            settings = [word for setting in (f"output.folder={self.folder / str(number)}", *more) for word in ("--set", setting)]
            self.assertEqual(run("run", config, *settings).returncode, 1)

        def problems(*numbers):
            folder = self.folder / "-".join(map(str, numbers))
            folder.mkdir()
            for number in numbers:
                shutil.copy(self.folder / str(number) / "result_0.txt", folder / f"result_{number}.txt")
            return "\n".join(json.loads(run("score", "--json", folder).stdout)["folders"][0]["problems"])

        self.assertNotIn("different", problems(0, 1))
        self.assertIn("different forms: submitted (result_0.txt, result_1.txt), reference (result_2.txt)", problems(0, 1, 2))
        self.assertIn("different configurations", problems(0, 3))

    def test_a_run_that_diverges_fails(self):
        done = run("run", self.tiny_config(train__learning_rate=1e30))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("diverged", done.stdout)
        stops = [record for record in records(self.folder / "run" / "result_0.txt") if record["key"] == "run_stop"]
        self.assertEqual([stop["metadata"]["status"] for stop in stops], ["aborted"])

    @unittest.skipIf(pathlib.Path("/dev/nvidiactl").exists(), "this machine has a GPU driver")
    def test_cuda_without_a_gpu_is_refused_in_one_line(self):
        done = run("run", self.tiny_config(device__kind="cuda"))
        self.assert_one_line_error(done, "/device/kind", "CUDA", "cpu")
        self.assertFalse((self.folder / "run").exists())

    def test_environment_of_a_launcher_with_more_ranks_is_refused(self):
        environment = dict(os.environ, RANK="0", WORLD_SIZE="8")
        done = run("run", self.tiny_config(), env=environment)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn("8", done.stderr)


if __name__ == "__main__":
    programs.main()
